//go:build pkcs11

package keys

import (
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
)

// TestPINWarnings has what smart cards say of their PIN; SoftHSM never says more than the second.
func TestPINWarnings(t *testing.T) {
	for _, c := range []struct {
		flags  pinFlags
		want   string
		locked bool
	}{
		{pkcs11.CKF_LOGIN_REQUIRED | pkcs11.CKF_USER_PIN_INITIALIZED, "", false},
		{pkcs11.CKF_USER_PIN_COUNT_LOW, "a wrong PIN was entered before", false},
		{pkcs11.CKF_USER_PIN_COUNT_LOW | pkcs11.CKF_USER_PIN_FINAL_TRY, "the next wrong PIN locks it", false},
		{pkcs11.CKF_USER_PIN_COUNT_LOW | pkcs11.CKF_USER_PIN_LOCKED, "its PIN is locked", true},
	} {
		if got := c.flags.warning(); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") || c.flags.locked() != c.locked {
			t.Errorf("%#x: %q, locked %v; want %q, %v", uint(c.flags), got, c.flags.locked(), c.want, c.locked)
		}
	}
	asked := false
	_, err := tokenPIN(tokenURI{token: "Officer card"}, pkcs11.CKF_USER_PIN_LOCKED, Reference{Secret: func(string) ([]byte, error) {
		asked = true
		return nil, nil
	}})
	if asked || err == nil || !strings.Contains(err.Error(), "the token Officer card cannot be used: its PIN is locked") {
		t.Errorf("asked %v, error %v", asked, err)
	}
}

// TestOpenProblems has what tokens answer to a PIN.
func TestOpenProblems(t *testing.T) {
	uri := tokenURI{token: "Officer card", module: "/none.so"}
	for code, want := range map[pkcs11.Error]string{
		pkcs11.CKR_PIN_INCORRECT:            "the PIN of the token Officer card is wrong",
		pkcs11.CKR_PIN_LEN_RANGE:            "the PIN of the token Officer card is wrong",
		pkcs11.CKR_PIN_LOCKED:               "the token Officer card cannot be opened: its PIN is locked",
		pkcs11.CKR_DEVICE_REMOVED:           "the token Officer card cannot be opened through /none.so: pkcs11: 0x32: CKR_DEVICE_REMOVED",
		pkcs11.CKR_TOKEN_NOT_PRESENT:        "CKR_TOKEN_NOT_PRESENT",
		pkcs11.CKR_SESSION_READ_ONLY:        "CKR_SESSION_READ_ONLY",
		pkcs11.CKR_USER_PIN_NOT_INITIALIZED: "CKR_USER_PIN_NOT_INITIALIZED",
	} {
		if err := openProblem(uri, code); !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", code, err, want)
		}
	}
}
