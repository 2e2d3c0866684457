package server

import "testing"

func TestABodyHasExactlyItsMembersOnceEach(t *testing.T) {
	for body, accepted := range map[string]bool{
		`{"request":"e30=","signatures":["e30=","e30="]}`:                  true,
		`{"request":"e30=","request":"e30=","signatures":["e30=","e30="]}`: false,
		`{"request":"e30=","signatures":[],"signatures":["e30=","e30="]}`:  false,
		`{"request":"e30=","signatures":["e30=","e30="],"force":true}`:     false,
		`{"Request":"e30=","signatures":["e30=","e30="]}`:                  false,
		`{"request":null,"signatures":["e30=","e30="]}`:                    false,
		`{"request":"e30=","signatures":["e30=","e30="]} `:                 true,
		`{"request":"e30=","signatures":["e30=","e30="]}{}`:                false,
		`{"request":"e30=","signatures":["e30=","e30="]`:                   false,
		`{"request":"e30=","signatures":["e30=","e30="]]`:                  false,
		`{"request":"e30=","signatures":{"a":1,"a":2}}`:                    false,
		`{"request":[101,51],"signatures":["e30=","e30="]}`:                false,
		`{"request":"e30=","signatures":[[101],"e30="]}`:                   false,
		`{"request":"e30=\\n","signatures":["e30=","e30="]}`:               false,
		`{"request":"e30=\n","signatures":["e30=","e30="]}`:                false,
		`{"request":"e3\u000a0=","signatures":["e30=","e30="]}`:            false,
		`{"request":"e31=","signatures":["e30=","e30="]}`:                  false, // bits behind the last byte
		`{"request":"e30=","signatures":["e30=","e3=="]}`:                  false,
		`{"request":"e30","signatures":["e30=","e30="]}`:                   false,
		`{"request":"e30=","signatures":"e30="}`:                           false,
		`{"request":"e30=","signatures":[]}`:                               true, // how many is asked later
		`[]`:                                                               false,
		`null`:                                                             false,
		`7`:                                                                false,
		``:                                                                 false,
	} {
		if _, refused := parseBody([]byte(body)); (refused == nil) != accepted {
			t.Errorf("%s: refused %v, accepted should be %v", body, refused, accepted)
		}
	}
}
