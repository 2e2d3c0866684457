//go:build pkcs11

package keys

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// pinFlags are what a token says of itself: the CKF_ of PKCS#11, of which those about the PIN are looked at.
type pinFlags uint

// warning says in words how near the token is to locking itself; empty where it is not.
func (f pinFlags) warning() string {
	switch {
	case f&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return "its PIN is locked: unlock it as the card's issuer says, usually with the PUK"
	case f&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return "the next wrong PIN locks it"
	case f&pkcs11.CKF_USER_PIN_COUNT_LOW != 0:
		return "a wrong PIN was entered before, and after a few it locks"
	}
	return ""
}

func (f pinFlags) locked() bool { return f&pkcs11.CKF_USER_PIN_LOCKED != 0 }

// ownKeypad tells whether the reader has keys of its own for the PIN; it is typed there, and none is given here.
func (f pinFlags) ownKeypad() bool { return f&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH != 0 }

// tokenName is how people call the token.
func (u tokenURI) tokenName() string { return cmp.Or(u.token, u.serial) }

// lookAtToken finds the token, without a PIN, and reads what it says of its own.
func lookAtToken(uri tokenURI) (flags pinFlags, err error) {
	module := pkcs11.New(uri.module)
	if module == nil {
		return 0, fmt.Errorf("the PKCS#11 module %s cannot be loaded: check module-path, and that it is a library for this computer", uri.module)
	}
	defer module.Destroy()
	if err := module.Initialize(); err != nil {
		return 0, fmt.Errorf("the PKCS#11 module %s does not start: %w", uri.module, err)
	}
	defer func() { err = errors.Join(err, module.Finalize()) }()
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("the PKCS#11 module %s does not list its slots: %w", uri.module, err)
	}
	var found []string
	for _, slot := range slots {
		token, err := module.GetTokenInfo(slot)
		if err != nil {
			return 0, fmt.Errorf("a token in the PKCS#11 module %s cannot be read: %w", uri.module, err)
		}
		if uri.serial != "" && uri.serial == token.SerialNumber || uri.serial == "" && uri.token == token.Label {
			return pinFlags(token.Flags), nil
		}
		if token.Label != "" {
			found = append(found, fmt.Sprintf("token=%s (serial=%s)", token.Label, token.SerialNumber))
		}
	}
	slices.Sort(found)
	return 0, fmt.Errorf("there is no token %s in the PKCS#11 module %s: put the card into the reader, or correct the URI; found: %s", uri.tokenName(), uri.module, cmp.Or(strings.Join(found, ", "), "none"))
}

// openProblem says why a token did not open, and what a wrong PIN has done to it.
func openProblem(uri tokenURI, cause error) error {
	code, known := errors.AsType[pkcs11.Error](cause)
	switch {
	case known && code == pkcs11.CKR_PIN_LOCKED:
		return fmt.Errorf("the token %s cannot be opened: %s", uri.tokenName(), pinFlags(pkcs11.CKF_USER_PIN_LOCKED).warning())
	case known && slices.Contains([]pkcs11.Error{pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE}, code):
		if flags, err := lookAtToken(uri); err == nil && flags.warning() != "" {
			return fmt.Errorf("the PIN of the token %s is wrong; %s", uri.tokenName(), flags.warning())
		}
		return fmt.Errorf("the PIN of the token %s is wrong", uri.tokenName())
	}
	return fmt.Errorf("the token %s cannot be opened through %s: %w", uri.tokenName(), uri.module, cause)
}
