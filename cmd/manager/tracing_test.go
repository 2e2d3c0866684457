package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A collector that speaks OTLP over HTTP gets the spans, named and with the program's name.
func TestSpansReachTheEndpoint(t *testing.T) {
	received := make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		export := &collector.ExportTraceServiceRequest{}
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, export) != nil {
			http.Error(w, "expected an export of traces", http.StatusBadRequest)
			return
		}
		received <- export
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	stop, err := startTraces(t.Context(), server.URL+"/v1/traces")
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "reconcile TokenProcedure")
	span.End()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	spans := (<-received).GetResourceSpans()[0]
	if name := spans.GetScopeSpans()[0].GetSpans()[0].GetName(); name != "reconcile TokenProcedure" {
		t.Errorf("received the span %q; expected the one that was made", name)
	}
	if program := spans.GetResource().GetAttributes()[0].GetValue().GetStringValue(); program != "token-procedure-operator" {
		t.Errorf("the spans are of %q; expected token-procedure-operator", program)
	}
}

func TestAnEndpointThatIsNoURLIsRefused(t *testing.T) {
	if _, err := startTraces(t.Context(), "collector:4318"); err == nil {
		t.Error("an endpoint without a scheme was taken")
	}
}

func TestTracesAreOffUnlessAnEndpointIsNamed(t *testing.T) {
	for _, c := range []struct {
		flag, variable, exporter string
		wanted                   bool
	}{{"", "", "", false}, {"http://collector:4318", "", "none", true}, {"", "http://collector:4318", "", true}, {"", "http://collector:4318", "none", false}} {
		t.Setenv("OTEL_TRACES_EXPORTER", c.exporter)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.variable)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
		if found := tracesWanted(c.flag); found != c.wanted {
			t.Errorf("with the flag %q, the variable %q and the exporter %q traces are sent: %v; expected %v", c.flag, c.variable, c.exporter, found, c.wanted)
		}
	}
}
