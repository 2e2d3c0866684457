package keys

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// tokenURI is what an RFC 7512 URI says of a key on a token.
type tokenURI struct {
	module, token, serial, object, id, pinSource string
}

// parseTokenURI reads what follows pkcs11: in a URI.
func parseTokenURI(text string) (tokenURI, error) {
	var parsed tokenURI
	path, query, _ := strings.Cut(text, "?")
	fields := map[string]*string{
		"token": &parsed.token, "serial": &parsed.serial, "object": &parsed.object, "id": &parsed.id,
		"module-path": &parsed.module, "pin-source": &parsed.pinSource,
	}
	attributes := append(strings.Split(path, ";"), strings.Split(query, "&")...)
	for _, attribute := range attributes {
		if attribute == "" {
			continue
		}
		name, raw, found := strings.Cut(attribute, "=")
		value, err := url.PathUnescape(raw)
		if !found || err != nil {
			return tokenURI{}, fmt.Errorf("the PKCS#11 URI has %q where NAME=VALUE is expected", attribute)
		}
		switch field, known := fields[name]; {
		case name == "pin-value":
			return tokenURI{}, errors.New("a PIN on the command line can be read by others: leave pin-value out and type the PIN when asked, or use --pin-file")
		case known && *field != "":
			return tokenURI{}, fmt.Errorf("the PKCS#11 URI says %s twice", name)
		case known:
			*field = value
		case name == "type" && value == "private", name == "manufacturer", name == "model", name == "library-manufacturer",
			name == "library-description", name == "library-version":
			// These narrow a search that token, serial, object and id decide already.
		default:
			return tokenURI{}, fmt.Errorf("the PKCS#11 URI has %s, which cannot be used here: expected token, serial, object, id, module-path or pin-source", name)
		}
	}
	if parsed.module == "" {
		return tokenURI{}, errors.New("the PKCS#11 URI does not say which module to load: end it with ?module-path=/path/of/module.so")
	}
	if parsed.token == "" && parsed.serial == "" {
		return tokenURI{}, errors.New("the PKCS#11 URI does not say which token: begin it with pkcs11:token=LABEL or pkcs11:serial=NUMBER (pkcs11-tool --list-slots shows them)")
	}
	return parsed, nil
}
