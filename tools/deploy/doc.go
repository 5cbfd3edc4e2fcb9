// Package deploy checks what sluice is deployed by: the Helm chart in
// deploy/chart, by Helm's own loader, engine and linter, and by kubeconform against
// the types of Kubernetes; the Dockerfile by BuildKit's parser and linter; and the
// program that the image is made of, compiled for each machine by the Dockerfile's
// own command.
//
// It is a module of its own, so that nothing of these tools reaches the binary. All
// of it is tests: `make chart` runs them. A check is a function that returns what is
// wrong, and each is also run on something broken, which it must see.
package deploy
