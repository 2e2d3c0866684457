//go:build pkcs11

package keys_test

import (
	"strings"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/keys/keystest"
)

func TestTokensSign(t *testing.T) {
	for _, kind := range []string{"RSA", "EC"} {
		for name, uri := range map[string]string{
			"by label":         "pkcs11:token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM,
			"by id":            "pkcs11:token=Officer%20card;id=%01?module-path=" + keystest.SoftHSM,
			"the only key":     "pkcs11:token=Officer%20card?module-path=" + keystest.SoftHSM,
			"of type":          "pkcs11:token=Officer%20card;object=Signature;type=private?module-path=" + keystest.SoftHSM,
			"in its long form": "pkcs11:manufacturer=SoftHSM%20project;token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM,
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				folder := keystest.Token(t, kind, true)
				key, err := open(folder, uri, "", "123456")
				if err != nil {
					t.Fatal(err)
				}
				mustSign(t, key)
				if err := key.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestTokenProblemsSayWhatToDo(t *testing.T) {
	const uri = "pkcs11:token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM
	for name, c := range map[string]struct {
		uri, certificate, pin, want string
		withCertificate             bool
	}{
		"a wrong PIN":                 {uri, "", "999999", "is the PIN right", true},
		"another token":               {strings.Replace(uri, "Officer", "Other", 1), "", "123456", "token", true},
		"another key":                 {strings.Replace(uri, "Signature", "Other", 1), "", "123456", "no such key pair", true},
		"no such module":              {"pkcs11:token=T?module-path=/none.so", "", "123456", "/none.so", true},
		"a token without certificate": {uri, "", "123456", "--cert", false},
	} {
		t.Run(name, func(t *testing.T) {
			folder := keystest.Token(t, "EC", c.withCertificate)
			_, err := open(folder, c.uri, c.certificate, c.pin)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), c.pin) {
				t.Errorf("the error tells the PIN: %v", err)
			}
		})
	}
	t.Run("a certificate in a file", func(t *testing.T) {
		folder := keystest.Token(t, "EC", false)
		key, err := open(folder, uri, "card.crt", "123456")
		if err != nil {
			t.Fatal(err)
		}
		mustSign(t, key)
		if err := key.Close(); err != nil {
			t.Error(err)
		}
	})
}
