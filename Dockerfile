# The operator's image: one static program, no shell, no root. `make image` builds the program and then this.
# The reference CM host has the same image with another program: --build-arg PROGRAM=cmhost.
FROM scratch
ARG PROGRAM=manager
ARG TARGETARCH=amd64
COPY dist/${PROGRAM}-linux-${TARGETARCH} /program
USER 65532:65532
ENTRYPOINT ["/program"]
