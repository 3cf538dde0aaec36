package openfaas

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogin: the file of OpenFaaS' own client, what else is in it included.
func TestLogin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "config.yml")
	if l, err := ReadLogin(file, "http://a:1"); err != nil || l != (Login{}) {
		t.Errorf("no file: %+v, %v", l, err)
	}
	if err := WriteLogin(file, "http://a:1/", Login{"admin", "a:b c"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if l, err := ReadLogin(file, "HTTP://A:1"); err != nil || l != (Login{"admin", "a:b c"}) {
		t.Errorf("%+v, %v", l, err)
	}
	// As the client writes it.
	text := "auths:\n- gateway: http://127.0.0.1:8080\n  auth: basic\n  token: YWRtaW46cHc=\n  options:\n  - name: x\n    value: y\n- gateway: http://b\n  auth: oauth2\n  token: abc\nfuture: 1\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := ReadLogin(file, "http://127.0.0.1:8080/"); err != nil || l != (Login{"admin", "pw"}) {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := ReadLogin(file, "http://b"); err != nil || l != (Login{}) {
		t.Errorf("a login of another kind: %+v, %v", l, err)
	}
	if err := WriteLogin(file, "http://127.0.0.1:8080", Login{"admin", "new"}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(data), "future: 1") || !strings.Contains(string(data), "name: x") || !strings.Contains(string(data), "oauth2") || strings.Count(string(data), "gateway:") != 2 {
		t.Errorf("%s, %v", data, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, bad := range []string{"auths: s3cret", "auths:\n- gateway: http://a\n  auth: basic\n  token: '%%s3cret'\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLogin(file, "http://a"); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
	if text := fmt.Sprintf("%v %s %+v", Login{"admin", "s3cret"}, Login{"admin", "s3cret"}, Login{"admin", "s3cret"}); strings.Contains(text, "s3cret") {
		t.Error(text)
	}
}

func TestLoginPath(t *testing.T) {
	env := map[string]string{"HOME": "/home/ada"}
	get := func(k string) string { return env[k] }
	if path, err := LoginPath(get); err != nil || path != "/home/ada/.openfaas/config.yml" {
		t.Error(path, err)
	}
	env["OPENFAAS_CONFIG"] = "/etc/of"
	if path, err := LoginPath(get); err != nil || path != "/etc/of/config.yml" {
		t.Error(path, err)
	}
	if _, err := LoginPath(func(string) string { return "" }); err == nil {
		t.Error("without a HOME there is a path")
	}
}
