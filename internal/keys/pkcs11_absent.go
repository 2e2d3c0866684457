//go:build !pkcs11

package keys

import "errors"

// HasPKCS11 tells whether this build can use smart cards and HSMs.
const HasPKCS11 = false

func openPKCS11(text string, _ Reference) (*Key, error) {
	if _, err := parseTokenURI(text); err != nil {
		return nil, err
	}
	return nil, errors.New("this build of kubectl-tokenproc has no PKCS#11, which needs cgo: use the build whose `kubectl tokenproc version` says pkcs11: true, " +
		"made with `CGO_ENABLED=1 go build -tags pkcs11 ./cmd/kubectl-tokenproc`")
}
