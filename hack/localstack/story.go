package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// chapter is a sentence of the story and the command that a person would type to see that it is true: the command ends
// without success where it is not.
type chapter struct{ says, command string }

// sign makes a signature with openssl and puts it into a ProcedureSignature. The filter stands between openssl and the
// manifest, for those who tamper.
func sign(name, officer, filter string) string {
	return fmt.Sprintf(`openssl cms -sign -binary -nodetach -md sha256 -in .local/request.json \
    -signer .local/officers/%[2]s.crt -inkey .local/officers/%[2]s.key -outform DER |%[3]s
  openssl base64 -A > .local/%[1]s.b64
kubectl create -n pki -f - <<END
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: ProcedureSignature
metadata: {name: %[1]s}
spec:
  procedureRef: {name: employee-card}
  signature: $(cat .local/%[1]s.b64)
END`, name, officer, filter)
}

func signWithPlugin(officer string) string {
	return fmt.Sprintf(`kubectl tokenproc sign employee-card -n pki --audience cm.local --yes --apply \
    --key file:.local/officers/%[1]s.key --cert .local/officers/%[1]s.crt`, officer)
}

func await(object, what string) string {
	return fmt.Sprintf("kubectl wait -n pki --timeout=30s %s --for=%s", object, what)
}

func reason(object, condition, reason string) string {
	return await(object, fmt.Sprintf(`jsonpath='{.status.conditions[?(@.type=="%s")].reason}'=%s`, condition, reason))
}

const (
	procedure  = "tokenprocedure/employee-card"
	signature  = "proceduresignature/"
	writeBytes = `kubectl get tp employee-card -n pki -o jsonpath='{"{"}"audience":"cm.local","procedure":{.spec.procedure},"revision":{.spec.revision},"type":"tokenprocedures.dev/request/v1"{"}"}' > .local/request.json
cat .local/request.json
digest=$(kubectl get tp employee-card -n pki -o jsonpath='{.status.request.digest}')
echo; echo "$digest"
test "$digest" = "sha256:$(openssl dgst -sha256 -r .local/request.json | cut -d' ' -f1)"`
	inputViewVisitor = `kubectl patch tp employee-card -n pki --type=merge \
  -p '{"spec":{"revision":2,"procedure":{"inputView":"Visitor"}}}'`
	stateClosed = `kubectl patch tp employee-card -n pki --type=merge \
  -p '{"spec":{"revision":3,"procedure":{"state":"Closed"}}}'`
)

var story = []chapter{
	{"A token procedure is applied, as Argo CD or Flux would do it from git.", "kubectl apply -f config/samples/story/employee-card.yaml"},
	{"It is valid, and it waits for two officers.", reason(procedure, "Signed", "AwaitingSignatures")},
	{"Nothing of it is on the CM host yet.", reason(procedure, "Active", "NotAtHost") + "\nkubectl get tp -n pki"},
	{"What officers sign is plain JSON. Whoever has kubectl can write it down, and its digest is the one in the status.", writeBytes},
	{"Officer 1 signs with openssl.", sign("employee-card-r1-officer-1", "officer-1", "")},
	{"The signature counts.", await(signature+"employee-card-r1-officer-1", "condition=Ready")},
	{"Somebody changes the state inside a signature of officer 2.", sign("employee-card-r1-forged", "officer-2", `
  LC_ALL=C sed 's/"state":"Active"/"state":"Closed"/' |`)},
	{"It is refused as forged.", reason(signature+"employee-card-r1-forged", "Verified", "BadSignature")},
	{"Officer 1 signs once more, with another certificate.", sign("employee-card-r1-officer-1b", "officer-1b", "")},
	{"It is refused: two officers have to sign, and this is the same one.", reason(signature+"employee-card-r1-officer-1b", "Counted", "SameOfficer")},
	{"One signature is still missing.", reason(procedure, "Signed", "AwaitingSignatures") + "\nkubectl get psig -n pki"},
	{"Officer 2 signs with the plugin.", signWithPlugin("officer-2")},
	{"The operator submits the request with both signatures, and the CM host accepts it.", await(procedure, "condition=Ready")},
	{"The procedure is Active.", await(procedure, "condition=Active") + "\nkubectl tokenproc status employee-card -n pki"},

	{"The input view is changed. That is a new request.", inputViewVisitor},
	{"It waits again: what was signed was revision 1.", await(procedure, "jsonpath='{.status.request.revision}'=2") + "\n" +
		reason(procedure, "Signed", "AwaitingSignatures")},
	{"Meanwhile the CM host has revision 1, as before.", await(procedure, "jsonpath='{.status.host.revision}'=1")},
	{"Officer 1 signs revision 2.", signWithPlugin("officer-1")},
	{"Officer 2 signs revision 2.", signWithPlugin("officer-2")},
	{"The CM host has revision 2.", await(procedure, "jsonpath='{.status.host.revision}'=2") + "\n" + await(procedure, "condition=Ready")},
	{"The first signatures have done their work.", reason(signature+"employee-card-r1-officer-1", "Counted", "Superseded")},

	{"The procedure is not needed any more. Nothing signed is ever deleted: it is closed.", stateClosed},
	{"It waits for two signatures.", await(procedure, "jsonpath='{.status.request.revision}'=3")},
	{"Officer 1 signs revision 3.", signWithPlugin("officer-1")},
	{"Officer 2 signs revision 3.", signWithPlugin("officer-2")},
	{"The procedure is Closed.", await(procedure, "condition=Closed") + "\n" + await(procedure, "condition=Ready") + "\nkubectl get tp,psig -n pki"},
}

// tell goes through the story and ends at the first sentence that turns out not to be true.
func tell(ctx context.Context, s *stack) error {
	started := time.Now()
	for number, chapter := range story {
		fmt.Printf("\n%2d. %s\n", number+1, chapter.says)
		fmt.Println(indented("$ ", chapter.command))
		output, err := s.shell(ctx, chapter.command)
		if len(output) > 0 {
			fmt.Println(indented("  ", strings.TrimRight(string(output), "\n")))
		}
		if ctx.Err() != nil {
			return errors.New("interrupted before the story ended")
		}
		if err != nil {
			return fmt.Errorf("not seen: %s (%w); the logs are in %s", chapter.says, err, s.folder.path("log"))
		}
	}
	fmt.Printf("\nAll %d steps were seen in %s.\n", len(story), time.Since(started).Round(time.Second))
	return nil
}

// shell runs a command as somebody would type it in a shell at the top of the checkout.
func (s *stack) shell(ctx context.Context, command string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	bash := exec.CommandContext(limited, "bash", "-euo", "pipefail", "-c", command)
	bash.Dir = s.root
	bash.Env = append(os.Environ(), "KUBECONFIG="+s.folder.path("kubeconfig"),
		"PATH="+s.assets+":"+s.root+"/bin:"+os.Getenv("PATH"))
	return bash.CombinedOutput()
}

func indented(prefix, text string) string {
	return "    " + prefix + strings.ReplaceAll(text, "\n", "\n      ")
}
