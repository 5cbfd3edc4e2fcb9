package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The security plug-in of OpenSearch, and the version it is published for as a
// whole.
const (
	securityPlugin = "opensearch-security"
	securityFor    = "2.19.4"
	securitySHA256 = "1f673622c462c4171a8c53f9b1ad20e5b839834cb79b0d3b388da180a0e514e8"
)

// withSecurity returns a home like the given one, with the plug-in in it.
func withSecurity(ctx context.Context, d distribution, home string) (string, error) {
	return cached(ctx, filepath.Dir(home), d.folder()+"-secure", func(ctx context.Context, dir string) error {
		if err := os.CopyFS(dir, os.DirFS(home)); err != nil {
			return err
		}
		scratch, err := os.MkdirTemp("", "sluice-testkit-mvn-*")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(scratch) }()
		cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
			"-Dartifact=org.opensearch.plugin:"+securityPlugin+":"+d.version+".0:zip", "-DoutputDirectory="+scratch)
		cmd.Dir = scratch
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("mvn: %w: %s", err, lastLine(out))
		}
		archive := filepath.Join(scratch, securityPlugin+"-"+d.version+".0.zip")
		if err := checkSum(archive, securitySHA256); err != nil {
			return err
		}
		return unzip(archive, filepath.Join(dir, "plugins", securityPlugin), nil)
	})
}

// openSearchSettings are the lines of the configuration file of OpenSearch.
func (x *Secure) openSearchSettings() []string {
	const p = "plugins.security."
	auth := "OPTIONAL"
	if x.ClientCert {
		auth = "REQUIRE"
	}
	return []string{
		p + "ssl.transport.pemcert_filepath: node.crt", p + "ssl.transport.pemkey_filepath: node.key",
		p + "ssl.transport.pemtrustedcas_filepath: ca.pem", p + "ssl.transport.enforce_hostname_verification: false",
		p + "ssl.http.enabled: true", p + "ssl.http.clientauth_mode: " + auth,
		p + "ssl.http.pemcert_filepath: server.crt", p + "ssl.http.pemkey_filepath: server.key", p + "ssl.http.pemtrustedcas_filepath: ca.pem",
		p + "allow_default_init_securityindex: true", fmt.Sprintf(p+"nodes_dn: [%q]", x.Server.Subject),
	}
}

// openSearchFiles say who the users are.
func (x *Secure) openSearchFiles() map[string]string {
	kind := func(name, body string) string { return "_meta: {type: " + name + ", config_version: 2}\n" + body }
	var rulers []string
	for _, subject := range x.Rulers {
		rulers = append(rulers, fmt.Sprintf("%q", subject))
	}
	files := map[string]string{
		"config.yml": kind("config", `config:
  dynamic:
    http: {anonymous_auth_enabled: false}
    authc:
      basic:
        http_enabled: true
        order: 0
        http_authenticator: {type: basic, challenge: false}
        authentication_backend: {type: intern}
      clientcert:
        http_enabled: true
        order: 1
        http_authenticator: {type: clientcert, challenge: false}
        authentication_backend: {type: noop}
`),
		"internal_users.yml": kind("internalusers", SearchUser+": {hash: \""+searchHash+"\", backend_roles: [admin]}\n"),
		"roles_mapping.yml":  kind("rolesmapping", "all_access: {backend_roles: [admin], users: ["+strings.Join(rulers, ", ")+"]}\n"),
		"roles.yml":          kind("roles", ""), "action_groups.yml": kind("actiongroups", ""), "tenants.yml": kind("tenants", ""),
		"nodes_dn.yml": kind("nodesdn", ""), "allowlist.yml": kind("allowlist", "config: {enabled: false}\n"),
	}
	placed := map[string]string{}
	for name, text := range files {
		placed[filepath.Join(securityPlugin, name)] = text
	}
	return placed
}
