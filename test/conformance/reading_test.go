package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/audit"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// names lists all names page by page.
func (s *session) names(t *testing.T, limit int, between func(page int)) []string {
	t.Helper()
	var names []string
	after := ""
	for page := 0; ; page++ {
		var got cmhostv1.TokenProcedureList
		s.get(t, fmt.Sprintf("/v1/token-procedures?limit=%d&after=%s", limit, url.QueryEscape(after))).into(t, &got)
		if len(got.Items) > limit {
			t.Fatalf("a page of %d items; the limit is %d", len(got.Items), limit)
		}
		for _, item := range got.Items {
			names = append(names, item.Name)
		}
		if got.Next == "" {
			return names
		}
		after = got.Next
		if between != nil {
			between(page)
		}
	}
}

func checkList(t *testing.T, s *session) {
	// In the order of code points: capitals before small letters, Z before Ä, and U+FF21 before U+10400, which UTF-16 and
	// most collations order otherwise.
	labels := []string{"Z", "a", "z", "Ä", "Ａ", "𐐀", "10", "9", "a b", "a-b", "aB"}
	for _, label := range labels {
		s.accept(t, 1, s.procedure("list "+label))
	}
	for _, limit := range []int{1, 3, 500} {
		var mine []string
		for _, name := range s.names(t, limit, nil) {
			if strings.HasPrefix(name, s.name("list ")) {
				mine = append(mine, name)
			}
		}
		var want []string
		for _, label := range labels {
			want = append(want, s.name("list "+label))
		}
		slices.Sort(want)
		if !slices.Equal(mine, want) {
			t.Errorf("with limit %d: got %q; want %q", limit, mine, want)
		}
	}
	s.get(t, "/v1/token-procedures?limit=1&after="+url.QueryEscape(strings.Repeat("Ä", 128))) // characters, not bytes
	t.Run("stable under writes", func(t *testing.T) { checkStable(t, s) })
	for _, query := range []string{"limit=0", "limit=501", "limit=-1", "limit=many", "after=%FF", "after=" + strings.Repeat("x", 129)} {
		s.call(t, "reader", http.MethodGet, "/v1/token-procedures?"+query, nil, nil).want(t, http.StatusBadRequest, "malformed", "")
	}
}

// checkStable writes before and behind the page that is being read.
func checkStable(t *testing.T, s *session) {
	before := s.names(t, 500, nil)
	found := s.names(t, 2, func(page int) {
		if page < 3 {
			s.accept(t, 1, s.procedure(fmt.Sprintf("list 0 %d", page)))
			s.accept(t, int64(page+2), s.procedure("list a"))
		}
	})
	seen := map[string]int{}
	for _, name := range found {
		seen[name]++
	}
	for _, name := range before {
		if seen[name] != 1 {
			t.Errorf("%q was there before the first page and was listed %d times", name, seen[name])
		}
	}
}

func checkNames(t *testing.T, s *session) {
	for _, label := range []string{"Zürich & Søn's (new)", "a, b: c + d - e_f.", "日本語 ١٢٣", strings.Repeat("x", 60)} {
		p := s.procedure(label)
		made := s.accept(t, 1, p)
		var found cmhostv1.TokenProcedure
		s.get(t, pathOf(p.Name)).into(t, &found)
		if found.Name != p.Name || found.Digest != made.Digest {
			t.Errorf("%q: found %q with %s", p.Name, found.Name, found.Digest)
		}
	}
	for _, path := range []string{"/v1/token-procedures/%00", "/v1/token-procedures/%FF", "/v1/token-procedures/" + strings.Repeat("x", 3000), pathOf(s.name("nobody")), pathOf(s.name("nobody")) + "/history", pathOf(s.name("nobody")) + "/selection"} {
		got := s.call(t, "reader", http.MethodGet, path, nil, nil)
		if got.status != http.StatusNotFound && got.status != http.StatusBadRequest {
			t.Errorf("GET %.60s: %d; want 404 or 400", path, got.status)
		}
	}
	s.call(t, "reader", http.MethodGet, pathOf(s.name("nobody")), nil, nil).want(t, http.StatusNotFound, "not-found", "")
}

func checkReading(t *testing.T, s *session) {
	p := s.procedure("read")
	var made []cmhostv1.TokenProcedure
	for revision := range int64(3) {
		p.State = []string{request.Active, request.Closed}[revision%2]
		made = append(made, s.accept(t, revision+1, p))
	}
	var history cmhostv1.TokenProcedureHistory
	s.get(t, pathOf(p.Name)+"/history").into(t, &history)
	if len(history.Items) != 3 {
		t.Fatalf("%d revisions; want 3", len(history.Items))
	}
	for i, item := range history.Items {
		if item.Revision != int64(i+1) || item.Digest != made[i].Digest || len(item.Signatures) != 2 || !item.AcceptedAt.Equal(made[i].AcceptedAt) {
			t.Errorf("revision %d of the history: %d %s with %d signatures; want %s", i+1, item.Revision, item.Digest, len(item.Signatures), made[i].Digest)
		}
	}
	var paged []string
	for after := ""; ; {
		var page cmhostv1.TokenProcedureHistory
		s.get(t, pathOf(p.Name)+"/history?limit=1"+after).into(t, &page)
		for _, item := range page.Items {
			paged = append(paged, item.Digest)
		}
		if page.Next == 0 || len(paged) > 3 {
			break
		}
		after = fmt.Sprint("&after=", page.Next)
	}
	if want := []string{made[0].Digest, made[1].Digest, made[2].Digest}; !slices.Equal(paged, want) {
		t.Errorf("the history page by page: %v; want %v", paged, want)
	}
	for _, query := range []string{"limit=0", "limit=501", "after=-1", "after=9007199254740992"} {
		s.call(t, "reader", http.MethodGet, pathOf(p.Name)+"/history?"+query, nil, nil).want(t, http.StatusBadRequest, "malformed", "")
	}
	var listed cmhostv1.TokenProcedureList
	s.get(t, "/v1/token-procedures?limit=1&after="+url.QueryEscape(p.Name[:len(p.Name)-1])).into(t, &listed)
	if len(listed.Items) != 1 || listed.Items[0].Name != p.Name || listed.Items[0].Digest != made[2].Digest || listed.Items[0].Revision != 3 || len(listed.Items[0].Signers) != 2 {
		t.Errorf("listed as %+v; want revision 3 with %s and two signers", listed.Items, made[2].Digest)
	}
}

func checkSelection(t *testing.T, s *session) {
	p := s.procedure("selection")
	s.accept(t, 1, p)
	var selected cmhostv1.Selection
	s.get(t, pathOf(p.Name)+"/selection").into(t, &selected)
	if selected.CertificateProcedure != p.CertificateProcedures[0] {
		t.Errorf("without a key usage: %q; want the first, %q", selected.CertificateProcedure, p.CertificateProcedures[0])
	}
	for _, query := range []string{"keyUsage=signing", strings.Repeat("&keyUsage=digitalSignature", 10)[1:]} {
		s.call(t, "reader", http.MethodGet, pathOf(p.Name)+"/selection?"+query, nil, nil).want(t, http.StatusBadRequest, "malformed", "")
	}
	all := "?keyUsage=digitalSignature&keyUsage=nonRepudiation&keyUsage=keyEncipherment&keyUsage=dataEncipherment&keyUsage=keyAgreement&keyUsage=keyCertSign&keyUsage=cRLSign&keyUsage=encipherOnly&keyUsage=decipherOnly"
	s.call(t, "reader", http.MethodGet, pathOf(p.Name)+"/selection"+all, nil, nil).want(t, http.StatusUnprocessableEntity, "no-match", "")
}

// checkLog reads the whole log and checks its chain and its evidence.
func checkLog(t *testing.T, s *session) {
	var host cmhostv1.Host
	s.get(t, "/v1/host").into(t, &host)
	auditor := &audit.Auditor{}
	for after := int64(0); ; {
		got := s.get(t, fmt.Sprintf("/v1/log?limit=50&after=%d", after))
		if err := audit.Read(strings.NewReader(string(got.body)), auditor.Check); err != nil {
			t.Fatal(err)
		}
		var page cmhostv1.LogPage
		got.into(t, &page)
		if page.Next == 0 {
			break
		}
		after = page.Next
	}
	if auditor.Head.Length != host.Log.Length || auditor.Head.Hash != host.Log.Head {
		t.Errorf("the log ends at %d with %s; the host says %d with %s", auditor.Head.Length, auditor.Head.Hash, host.Log.Length, host.Log.Head)
	}
	if auditor.Accepted == 0 {
		t.Error("no accepted request in the log")
	}
	for _, query := range []string{"limit=0", "limit=501", "after=-1", "after=x", "after=9007199254740992", "after=9223372036854775808"} {
		s.call(t, "reader", http.MethodGet, "/v1/log?"+query, nil, nil).want(t, http.StatusBadRequest, "malformed", "")
	}
}

func checkChanges(t *testing.T, s *session) {
	var now cmhostv1.Changes
	s.get(t, "/v1/changes").into(t, &now)
	if len(now.Items) > 0 || now.Next == "" {
		t.Fatalf("without a cursor: %+v; want none and a cursor for now", now)
	}
	var waited cmhostv1.Changes
	s.get(t, "/v1/changes?wait=1&after="+url.QueryEscape(now.Next)).into(t, &waited)
	if len(waited.Items) > 0 || waited.Next != now.Next {
		t.Errorf("after waiting: %+v; want none and the same cursor", waited)
	}
	woken := make(chan cmhostv1.Changes, 1)
	go func() {
		var changes cmhostv1.Changes
		s.call(t, "reader", http.MethodGet, "/v1/changes?wait=30&after="+url.QueryEscape(now.Next), nil, nil).into(t, &changes)
		woken <- changes
	}()
	names := []string{s.name("change 2"), s.name("change 1"), s.name("change 2")}
	for i, name := range names {
		p := s.base
		p.Name = name
		s.accept(t, int64(i+1), p)
	}
	first := <-woken
	if len(first.Items) == 0 {
		t.Fatal("a change does not end the waiting")
	}
	var rest cmhostv1.Changes
	s.get(t, "/v1/changes?after="+url.QueryEscape(first.Next)).into(t, &rest)
	var found []string
	for _, change := range append(first.Items, rest.Items...) {
		if change.Kind == cmhostv1.ChangeKindTokenProcedure {
			found = append(found, change.Name)
		}
	}
	if !slices.Equal(found, names) {
		t.Errorf("changes of %q; want %q", found, names)
	}
	for _, cursor := range []string{"unknown", "", now.Next + "\n", "\n" + now.Next, now.Next + " ", now.Next + "A"} {
		s.call(t, "reader", http.MethodGet, "/v1/changes?after="+url.QueryEscape(cursor), nil, nil).want(t, http.StatusGone, "cursor-gone", "")
	}
	for _, query := range []string{"wait=61", "wait=-1", "wait=x", "wait=18446744074"} {
		s.call(t, "reader", http.MethodGet, "/v1/changes?"+query, nil, nil).want(t, http.StatusBadRequest, "malformed", "")
	}
}
