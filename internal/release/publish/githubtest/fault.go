package githubtest

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault is one way for a call to fail. The zero value is none.
type Fault struct {
	// Status answers so, with Message, and does nothing.
	Status  int
	Message string
	Header  http.Header
	// Errors are the faults that a refusal by 422 finds with fields.
	Errors []map[string]string
	// Starter leaves an unfinished asset behind when an upload fails by Status.
	Starter bool
	// Reset breaks the connection before anything is done; that of an upload after
	// half of its bytes.
	Reset bool
	// Lost breaks the connection when all is done.
	Lost bool
	// Truncate sends half of the answer.
	Truncate bool
	// Slow sends the answer's bytes over this time.
	Slow time.Duration
	// Corrupt changes an uploaded byte.
	Corrupt bool
	// Do is done first, as cancelling the caller.
	Do func()
	// Then is done when the call has had its effect, before the answer.
	Then func()
}

// RateLimited is the primary limit: 403, nothing remaining until reset.
func RateLimited(reset time.Time) *Fault {
	return &Fault{Status: http.StatusForbidden, Message: "API rate limit exceeded for installation ID 1.", Header: http.Header{
		"X-Ratelimit-Limit":     {"1000"},
		"X-Ratelimit-Remaining": {"0"},
		"X-Ratelimit-Reset":     {strconv.FormatInt(reset.Unix(), 10)},
	}}
}

// SecondaryLimited is the limit on too much at once, as 403 or 429.
func SecondaryLimited(status int, after time.Duration) *Fault {
	return &Fault{Status: status, Message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
		Header: http.Header{"Retry-After": {strconv.Itoa(int(after / time.Second))}}}
}

// NameTaken is how an upload under a name that the release has is refused.
func NameTaken() *Fault {
	return &Fault{Status: http.StatusUnprocessableEntity, Message: "Validation Failed",
		Errors: []map[string]string{{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}}}
}

// before does what hinders the call; it reports whether that was all.
func (f *Fault) before(c *call) bool {
	if f.Do != nil {
		f.Do()
	}
	upload := c.Operation == "repos/upload-release-asset"
	if f.Reset && !upload {
		breakOff(c.w)
		return true
	}
	if f.Status == 0 || upload && f.Starter {
		return false
	}
	f.refuse(c.w)
	return true
}

func (f *Fault) refuse(w http.ResponseWriter) {
	for key, values := range f.Header {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(f.Status)
	docs := "https://docs.github.com/rest"
	if f.Header.Get("Retry-After") != "" {
		docs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"
	}
	body := m{"message": f.Message, "documentation_url": docs}
	if f.Errors != nil {
		body["errors"] = f.Errors
	}
	_ = json.NewEncoder(w).Encode(body)
}

// after spoils the answer; it reports whether it has dealt with it.
func (f *Fault) after(c *call, status int, body []byte) bool {
	if f.Then != nil {
		f.Then()
	}
	switch {
	case f.Lost:
		breakOff(c.w)
	case f.Truncate:
		c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		c.w.WriteHeader(status)
		_, _ = c.w.Write(body[:len(body)/2])
		breakOff(c.w)
	case f.Slow > 0:
		c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		c.w.WriteHeader(status)
		for i := range body {
			_, _ = c.w.Write(body[i : i+1])
			_ = http.NewResponseController(c.w).Flush()
			if i%64 == 0 {
				time.Sleep(f.Slow * 64 / time.Duration(len(body)))
			}
		}
	default:
		return false
	}
	return true
}

// breakOff ends the connection with a reset.
func breakOff(w http.ResponseWriter) {
	rc := http.NewResponseController(w)
	conn, _, err := rc.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
