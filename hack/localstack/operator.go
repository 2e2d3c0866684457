package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const fieldOwner = client.FieldOwner("localstack")

// operator is the manager, installed as config/default installs it and running as the service account of its Deployment
// with nothing but the roles that are shipped. Only the process is started by hand, as nothing runs pods here.
type operator struct {
	process   *process
	namespace string
	account   string
}

// installed applies what config/default renders, but for what only runs or watches pods, and for the policy that keeps
// everyone but the operator from writing status: here people try what happens to a status that somebody else changed.
func installed(ctx context.Context, api client.Client, directory string) (*operator, error) {
	objects, err := render(directory)
	if err != nil {
		return nil, err
	}
	o := &operator{}
	for _, object := range objects {
		switch kind := object.GroupVersionKind(); {
		case kind.Kind == "Deployment":
			o.namespace = object.GetNamespace()
			o.account, _, err = unstructured.NestedString(object.Object, "spec", "template", "spec", "serviceAccountName")
		case kind.Group == "monitoring.coreos.com", kind.Group == "admissionregistration.k8s.io":
		default:
			err = apply(ctx, api, object)
		}
		if err != nil {
			return nil, fmt.Errorf("installing %s: %w", directory, err)
		}
	}
	if o.account == "" {
		return nil, fmt.Errorf("%s has no Deployment with a service account to run the operator as", directory)
	}
	return o, nil
}

func render(directory string) ([]*unstructured.Unstructured, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy // namespaces and CRDs first, as kubectl does
	rendered, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", directory, err)
	}
	var objects []*unstructured.Unstructured
	for _, resource := range rendered.Resources() {
		content, err := resource.Map()
		if err != nil {
			return nil, err
		}
		objects = append(objects, &unstructured.Unstructured{Object: content})
	}
	return objects, nil
}

func apply(ctx context.Context, api client.Client, object *unstructured.Unstructured) error {
	return api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership)
}

// writeKubeconfig lets the manager in as its service account.
func (o *operator) writeKubeconfig(ctx context.Context, api client.Client, c *controlPlane, path string) error {
	month := int64(30 * 24 * time.Hour / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &month}}
	account := &corev1.ServiceAccount{}
	account.Namespace, account.Name = o.namespace, o.account
	if err := api.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("getting a token for the service account %s/%s: %w", o.namespace, o.account, err)
	}
	return c.writeKubeconfig(path, &clientcmdapi.AuthInfo{Token: request.Status.Token})
}

func (o *operator) prepare(f folder, program, kubeconfig string) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	metrics, health := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	o.process = &process{
		name: "manager", program: program, folder: f, serves: answers("http://"+health+"/healthz", nil),
		args: []string{
			"--kubeconfig", kubeconfig, "--metrics-bind-address", metrics, "--metrics-secure=false",
			"--health-probe-bind-address", health, "--leader-elect", "--leader-election-namespace", o.namespace,
		},
	}
	return errors.Join(
		f.line("http://"+metrics+"/metrics", "manager-metrics-url"),
		f.line("http://"+health, "manager-health-url"))
}
