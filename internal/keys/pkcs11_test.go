//go:build pkcs11

package keys_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys/keystest"
)

func TestTokensSign(t *testing.T) {
	for _, kind := range []string{"RSA", "EC"} {
		t.Run(kind, func(t *testing.T) {
			folder := keystest.Token(t, kind, true)
			for name, uri := range map[string]string{
				"by label":         "pkcs11:token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM,
				"by id":            "pkcs11:token=Officer%20card;id=%01?module-path=" + keystest.SoftHSM,
				"the only key":     "pkcs11:token=Officer%20card?module-path=" + keystest.SoftHSM,
				"of type":          "pkcs11:token=Officer%20card;object=Signature;type=private?module-path=" + keystest.SoftHSM,
				"in its long form": "pkcs11:manufacturer=SoftHSM%20project;token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM,
			} {
				t.Run(name, func(t *testing.T) {
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
		})
	}
}

func TestTokenProblemsSayWhatToDo(t *testing.T) {
	const uri = "pkcs11:token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM
	folder := keystest.Token(t, "EC", true)
	for name, c := range map[string]struct{ uri, pin, want string }{
		"a wrong PIN":              {uri, "999999", "the PIN of the token Officer card is wrong; a wrong PIN was entered before, and after a few it locks"},
		"another token":            {strings.Replace(uri, "Officer", "Other", 1), "123456", "no token Other card in the PKCS#11 module " + keystest.SoftHSM + ": put the card into the reader, or correct the URI; found: token=Officer card (serial="},
		"another key":              {strings.Replace(uri, "Signature", "Other", 1), "123456", "no such key pair"},
		"no such module":           {"pkcs11:token=T?module-path=/none.so", "123456", "the PKCS#11 module /none.so cannot be loaded"},
		"a file that is no module": {"pkcs11:token=T?module-path=/etc/hostname", "123456", "the PKCS#11 module /etc/hostname cannot be loaded"},
		"a PIN that is too short":  {uri, "12", "the PIN of the token Officer card is wrong"},
		"no PIN":                   {uri, "", "no PIN was given for the token Officer card"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(folder, c.uri, "", c.pin)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err != nil && c.pin != "" && strings.Contains(err.Error(), c.pin) {
				t.Errorf("the error tells the PIN: %v", err)
			}
		})
	}
}

// TestATokenWithoutCertificate needs the certificate's file.
func TestATokenWithoutCertificate(t *testing.T) {
	const uri = "pkcs11:token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM
	folder := keystest.Token(t, "EC", false)
	if _, err := open(folder, uri, "", "123456"); err == nil || !strings.Contains(err.Error(), "--cert") {
		t.Errorf("got %v, want an error with --cert", err)
	}
	key, err := open(folder, uri, "card.crt", "123456")
	if err != nil {
		t.Fatal(err)
	}
	mustSign(t, key)
	if err := key.Close(); err != nil {
		t.Error(err)
	}
}

// TestTheOfficerIsWarnedBeforeTheNextTry has a token on which somebody entered a wrong PIN.
func TestTheOfficerIsWarnedBeforeTheNextTry(t *testing.T) {
	keystest.Token(t, "EC", true)
	var asked []string
	try := func(pin string) (*keys.Key, error) {
		return keys.Open(keys.Reference{Key: "pkcs11:token=Officer%20card?module-path=" + keystest.SoftHSM, Secret: func(what string) ([]byte, error) {
			asked = append(asked, what)
			return []byte(pin), nil
		}})
	}
	for _, pin := range []string{"999999", "123456", "123456"} {
		if key, err := try(pin); err == nil {
			mustSign(t, key)
			if err := key.Close(); err != nil {
				t.Error(err)
			}
		} else if pin == "123456" {
			t.Error(err)
		}
	}
	want := []string{"the token Officer card", "the token Officer card (a wrong PIN was entered before, and after a few it locks)", "the token Officer card"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q\nwant      %q", asked, want)
	}
}

// TestNobodyIsAskedForAPINThatCannotHelp has a token that is not there.
func TestNobodyIsAskedForAPINThatCannotHelp(t *testing.T) {
	keystest.Token(t, "EC", true)
	_, err := keys.Open(keys.Reference{Key: "pkcs11:token=Elsewhere?module-path=" + keystest.SoftHSM, Secret: func(string) ([]byte, error) {
		t.Error("asked for a PIN")
		return nil, nil
	}})
	if err == nil || !strings.Contains(err.Error(), "no token Elsewhere") {
		t.Error(err)
	}
}
