package balance_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

func TestLocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		backend  string
		location string
		want     string // if it changes
	}{
		{"http://10.0.0.2:8080", "http://10.0.0.2:8080/a/b?x=1&y=%20#f%20", "/a/b?x=1&y=%20#f%20"},
		{"http://10.0.0.2:8080", "http://10.0.0.2:8080/%2f/a%20b?", "/%2f/a%20b?"},
		{"http://10.0.0.2:8080", "http://10.0.0.2:8080", "/"},
		{"http://10.0.0.2:8080", "http://10.0.0.2:8080?x", "/?x"},
		{"http://10.0.0.2:8080", "//10.0.0.2:8080/a", "/a"},
		{"http://web.example", "HTTP://Web.Example:80/a", "/a"},
		{"https://web.example:443", "https://web.example/a", "/a"},
		{"http://[fe80::1%25eth0]:8080", "http://[fe80::1%25eth0]:8080/a", "/a"},
		{"http://10.0.0.2:8080/base", "http://10.0.0.2:8080/base/a", "/a"},
		{"http://10.0.0.2:8080/base/", "http://10.0.0.2:8080/base/a", "/a"},
		{"http://10.0.0.2:8080/base", "http://10.0.0.2:8080/base", "/"},
		{"http://10.0.0.2:8080/base", "http://10.0.0.2:8080/basement", ""},
		{"http://10.0.0.2:8080/base", "http://10.0.0.2:8080/other", ""},
		{"http://10.0.0.2:8080", "http://10.0.0.2:8080//evil.example/a", ""},
		{"http://10.0.0.2:8080", "https://10.0.0.2:8080/a", ""},
		{"http://10.0.0.2:8080", "http://10.0.0.2:8081/a", ""},
		{"http://10.0.0.2:8080", "http://10.0.0.3:8080/a", ""},
		{"http://10.0.0.2:8080", "http://orders/a", ""},
		{"http://10.0.0.2:8080", "/a", ""},
		{"http://10.0.0.2:8080", "a", ""},
		{"http://10.0.0.2:8080", "http://%/", ""},
		{"http://10.0.0.2:8080", "", ""},
	} {
		t.Run(test.backend+" "+test.location, func(t *testing.T) {
			t.Parallel()
			transport, _ := newTransport(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				response := respond(r, http.StatusFound)
				response.Header = http.Header{"Location": {test.location}}
				return response, nil
			}), test.backend)
			response, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = test.location
			}
			if got := response.Header.Get("Location"); got != want {
				t.Errorf("Location %q, want %q", got, want)
			}
		})
	}
}

// A client follows a redirect through the balancer, with its credentials.
func TestRedirect(t *testing.T) {
	t.Parallel()
	handle := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "http://"+r.Host+"/there", http.StatusFound)
			return
		}
		fmt.Fprintf(w, "%s for %s", r.URL.Path, r.Header.Get("Authorization"))
	}
	first, second := newBackend(t, handle), newBackend(t, handle)
	transport, _ := newTransport(t, nil, first, second)
	r := newRequest(t, http.MethodGet, "")
	r.Header.Set("Authorization", "Basic x")
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); string(text) != "/there for Basic x" || err != nil {
		t.Errorf("the answer is %q, error %v, want /there for Basic x", text, err)
	}
	if host := response.Request.URL.Host; "http://"+host != second {
		t.Errorf("answered by %s, want %s, whose turn it is", host, second)
	}
}
