//go:build !pkcs11

package keys_test

import (
	"strings"
	"testing"
)

func TestBuildWithoutPKCS11SaysWhichHasIt(t *testing.T) {
	_, err := open("", "pkcs11:token=T?module-path=/m.so", "", "")
	if err == nil || !strings.Contains(err.Error(), "-tags pkcs11") {
		t.Errorf("got %v, want the build that has PKCS#11", err)
	}
}
