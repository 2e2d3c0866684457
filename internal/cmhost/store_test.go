package cmhost_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

func TestStoreOfAnotherAudienceIsRefused(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		other := hosttest.Options{Database: address, Audience: "other.test"}
		if unused, err := hosttest.Start(t.TempDir(), other); err != nil {
			t.Errorf("before a request was accepted: %v", err)
		} else if err := unused.Stop(); err != nil {
			t.Error(err)
		}
		host.accept(t, 1, signingtest.Procedure("Employee card"))
		if _, err := hosttest.Start(t.TempDir(), other); err == nil || !strings.Contains(err.Error(), "cm.test") {
			t.Errorf("after a request for cm.test was accepted: %v; want a refusal that names it", err)
		}
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		if err := host.Stop(); err != nil {
			t.Fatal(err)
		}
		driver := "sqlite"
		if strings.HasPrefix(address, "postgres://") {
			driver = "pgx"
		}
		db, err := sql.Open(driver, address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := host.Restart(); err == nil || !strings.Contains(err.Error(), "schema version 99") {
			t.Errorf("%v; want a refusal that names version 99", err)
		}
	})
}

func TestSeveralProgramsCanOpenANewDatabaseAtOnce(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		results := make(chan error)
		const programs = 6
		for range programs {
			go func() {
				opened, err := store.Open(context.WithoutCancel(t.Context()), address, store.Options{})
				if err == nil {
					err = opened.Close()
				}
				results <- err
			}()
		}
		for range programs {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestRunningHostNoticesALoad loads from another connection, as `cmhost load` does, while a client waits for changes.
func TestRunningHostNoticesALoad(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		before, err := host.client.GetCatalogWithResponse(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		f := follow(t, host)
		changed := *before.JSON200
		changed.PINProcedures = append(changed.PINProcedures, rules.CatalogObject{Name: "PIN by phone", State: request.Active})
		begun := time.Now()
		if err := host.Load(load.Input{Catalog: &changed}); err != nil {
			t.Fatal(err)
		}
		if found := f.upTo(t, 1); found[0] != (cmhostv1.Change{Kind: cmhostv1.ChangeKindPINProcedure, Name: "PIN by phone"}) {
			t.Errorf("changes: %v", found)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("noticed after %v", took)
		}
		after, err := host.client.GetCatalogWithResponse(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if before.Headers200.ETag == after.Headers200.ETag || len(after.JSON200.PINProcedures) != len(changed.PINProcedures) {
			t.Errorf("the catalogue is served as before the load")
		}
		p := signingtest.Procedure("New PIN")
		p.PINProcedure = "PIN by phone"
		host.accept(t, 1, p)
	})
}

func TestLoadRefusesWhatBreaksActiveProcedures(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		host.accept(t, 1, signingtest.Procedure("Employee card"))
		catalog, err := hosttest.SampleCatalog()
		if err != nil {
			t.Fatal(err)
		}
		catalog.PINProcedures = catalog.PINProcedures[1:] // without PIN letter
		length := logLength(t, host)
		err = host.Load(load.Input{Catalog: catalog})
		var breaks *load.BreaksError
		if !errors.As(err, &breaks) || len(breaks.Broken) != 1 || !strings.Contains(breaks.Broken[0], "Employee card") {
			t.Fatalf("%v; want a refusal that names Employee card", err)
		}
		if logLength(t, host) != length {
			t.Error("the refused load left something in the log")
		}
		if err := host.Load(load.Input{Catalog: catalog, AllowBreaking: true}); err != nil {
			t.Fatal(err)
		}
		if status, kind := host.put(t, 2, signingtest.Procedure("Employee card")); kind != "unknown-reference" {
			t.Errorf("with the reference gone: %d %s; want unknown-reference", status, kind)
		}
		closed := signingtest.Procedure("Employee card")
		closed.State = request.Closed
		host.accept(t, 2, closed)
	})
}

func TestProceduresMadeElsewhereAreTakenOver(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		old := signingtest.Procedure("Visitor card")
		host := startWith(t, hosttest.Options{Database: address, Procedures: []request.Procedure{old}})
		old.InputView = "Visitor"
		if err := host.Load(load.Input{Procedures: []request.Procedure{old}}); err != nil {
			t.Fatal(err)
		}
		found, err := host.client.GetTokenProcedureWithResponse(t.Context(), old.Name)
		if err != nil || found.JSON200 == nil || found.JSON200.Revision != 0 || found.JSON200.Digest != "" || len(found.JSON200.Signatures) != 0 {
			t.Fatalf("%v %s; want revision 0 without evidence", err, found.Body)
		}
		if strings.Contains(string(found.Body), "digest") || strings.Contains(string(found.Body), "acceptedAt") {
			t.Errorf("%s has a digest or acceptedAt", found.Body)
		}
		host.accept(t, 1, old)
		var revisions []int64
		for next := int64(0); ; {
			page, err := host.client.GetTokenProcedureHistoryWithResponse(t.Context(), old.Name, &cmhostv1.GetTokenProcedureHistoryParams{After: &next, Limit: new(1)})
			if err != nil || page.JSON200 == nil || len(page.JSON200.Items) != 1 {
				t.Fatalf("%v %s; want one revision", err, page.Body)
			}
			revisions = append(revisions, page.JSON200.Items[0].Revision)
			if next = page.JSON200.Next; next == 0 {
				break
			}
		}
		if !slices.Equal(revisions, []int64{0, 0, 1}) {
			t.Errorf("the history has the revisions %v; want 0, 0 and 1", revisions)
		}
		if err := host.Load(load.Input{Procedures: []request.Procedure{old}}); err == nil {
			t.Error("a procedure with evidence was replaced by a load")
		}
	})
}

// TestASnapshotStaysAsItWas reads a database while a host goes on writing it.
func TestASnapshotStaysAsItWas(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		host.accept(t, 1, signingtest.Procedure("Before"))
		snapshot, err := store.OpenSnapshot(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := snapshot.Close(); err != nil {
				t.Error(err)
			}
		}()
		host.accept(t, 1, signingtest.Procedure("After"))
		last := chain.Head{}
		err = snapshot.EachEntry(t.Context(), func(entry []byte) error {
			if strings.Contains(string(entry), `"name":"After"`) {
				t.Error("what was written later is in it")
			}
			last, err = chain.Verify(last, entry)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if head, err := snapshot.Head(t.Context()); err != nil || head != last {
			t.Errorf("the log ends at %+v, the head is %+v, %v", last, head, err)
		}
		if policy, err := snapshot.Policy(t.Context()); err != nil || len(policy.Officers) != 2 {
			t.Errorf("%+v, %v; want the register", policy, err)
		}
	})
}
