# Images from what `make release` built: one static program each, no shell, no root.
# The operator is what `docker build .` makes; --target cmhost makes the reference CM host, for evaluation.
FROM scratch AS cmhost
ARG TARGETARCH=amd64
COPY dist/cmhost-linux-${TARGETARCH} /cmhost
USER 65532:65532
ENTRYPOINT ["/cmhost"]

FROM scratch AS manager
ARG TARGETARCH=amd64
COPY dist/manager-linux-${TARGETARCH} /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
