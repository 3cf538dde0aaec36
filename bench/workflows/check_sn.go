package workflows

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/bench/services"
)

// socialInput is sn's sample input.
type socialInput struct {
	User     string `json:"user"`
	Password string `json:"password"`
	Text     string `json:"text"`
	Media    []struct {
		Type   string `json:"type"`
		Base64 string `json:"base64"`
	} `json:"media"`
}

// Parts of sn's answer.
type (
	account struct {
		ID       int    `json:"id"`
		Name     string `json:"name"`
		FullName string `json:"full_name,omitempty"`
	}
	medium struct {
		ID    string `json:"id"`
		Type  string `json:"type"`
		Bytes int    `json:"bytes"`
		CRC32 uint32 `json:"crc32"`
	}
	link struct {
		Short string `json:"short"`
		URL   string `json:"url"`
	}
	post struct {
		ID       string    `json:"id"`
		Creator  account   `json:"creator"`
		Mentions []account `json:"mentions"`
		Media    []medium  `json:"media"`
		Text     string    `json:"text"`
		URLs     []link    `json:"urls"`
		Words    int       `json:"words"`
		Flagged  []string  `json:"flagged"`
	}
	// stored is what the functions of the last stage answer, each its part.
	stored struct {
		Stored  string `json:"stored"`
		CRC32   uint32 `json:"crc32"`
		Readers int    `json:"readers"`
		Author  int    `json:"author"`
		Newest  string `json:"newest"`
		Movie   string `json:"movie"`
		Ratings int    `json:"ratings"`
		Stars   int    `json:"stars"`
	}
)

// blocked are the words that sn flags the likes of.
func blocked() []string {
	return strings.Fields("casino jackpot lottery miracle millionaire password prize refund voucher winner")
}

var (
	address = regexp.MustCompile(`https?://\S+`)
	mention = regexp.MustCompile(`@(\w+)`)
	letters = regexp.MustCompile(`[a-z]+`)
	digits  = regexp.MustCompile(`^[0-9]{15,20}$`)
)

func newSocialCheck(data *services.Dataset) (func([]byte) error, error) {
	var in socialInput
	if err := sample(sn, &in); err != nil {
		return nil, err
	}
	want, readers, err := expectedPost(&in, data)
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(readers)
	if err != nil {
		return nil, err
	}
	return func(answer []byte) error {
		var got struct {
			Post   json.RawMessage `json:"post"`
			Stored []stored        `json:"stored"`
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			return fmt.Errorf("it is no JSON as expected: %w", err)
		}
		var p post
		if err := json.Unmarshal(got.Post, &p); err != nil {
			return fmt.Errorf("the post: %w", err)
		}
		if len(got.Stored) != 3 {
			return fmt.Errorf("%d functions stored the post, want 3", len(got.Stored))
		}
		text, err := canonical(got.Post)
		if err != nil {
			return err
		}
		storage, home, user := got.Stored[0], got.Stored[1], got.Stored[2]
		return errors.Join(
			comparePosts(&p, want),
			same("the stored post's id", storage.Stored, p.ID),
			same("the checksum of what PostgreSQL holds", storage.CRC32, crc32.ChecksumIEEE(text)),
			same("the number of readers", home.Readers, len(readers)),
			same("the checksum of the readers", home.CRC32, crc32.ChecksumIEEE(list)),
			same("the user timeline's author", user.Author, want.Creator.ID),
			same("the user timeline's newest post", user.Newest, p.ID),
		)
	}, nil
}

func comparePosts(got, want *post) error {
	var wrong error
	if !digits.MatchString(got.ID) {
		wrong = fmt.Errorf("the post's id is %q", got.ID)
	}
	return errors.Join(
		wrong,
		same("the creator", got.Creator, want.Creator),
		sameList("the mentions", got.Mentions, want.Mentions),
		sameList("the media", got.Media, want.Media),
		same("the text", got.Text, want.Text),
		sameList("the links", got.URLs, want.URLs),
		same("the number of words", got.Words, want.Words),
		sameList("the flagged words", got.Flagged, want.Flagged),
	)
}

// expectedPost derives the post, but for its id, and who reads it.
func expectedPost(in *socialInput, data *services.Dataset) (*post, []int, error) {
	users := make(map[string]*services.User)
	for i := range data.Users {
		users[data.Users[i].Name] = &data.Users[i]
	}
	author := users[in.User]
	if author == nil || author.Password != in.Password {
		return nil, nil, fmt.Errorf("sample.json: the user %q has another password, or is none", in.User)
	}
	p := &post{Creator: account{ID: author.ID, Name: author.Name, FullName: author.FullName}}
	readers := slices.Clone(author.Followers)
	for _, found := range mention.FindAllStringSubmatch(in.Text, -1) {
		if u := users[found[1]]; u != nil {
			p.Mentions = append(p.Mentions, account{ID: u.ID, Name: u.Name})
			readers = append(readers, u.ID)
		}
	}
	slices.SortFunc(p.Mentions, func(a, b account) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(readers)
	readers = slices.Compact(readers)
	for i, m := range in.Media {
		data, err := base64.StdEncoding.DecodeString(m.Base64)
		if err != nil {
			return nil, nil, fmt.Errorf("sample.json: medium %d: %w", i, err)
		}
		sum := sha256.Sum256(data)
		p.Media = append(p.Media, medium{ID: hex.EncodeToString(sum[:]), Type: m.Type, Bytes: len(data), CRC32: crc32.ChecksumIEEE(data)})
	}
	p.Text = address.ReplaceAllStringFunc(in.Text, func(url string) string {
		sum := sha256.Sum256([]byte(url))
		short := "http://sho.rt/" + hex.EncodeToString(sum[:])[:10]
		p.URLs = append(p.URLs, link{Short: short, URL: url})
		return short
	})
	plain := strings.ToLower(mention.ReplaceAllString(address.ReplaceAllString(in.Text, " "), " "))
	words := letters.FindAllString(plain, -1)
	p.Words = len(words)
	for _, word := range words {
		if len(word) > 3 && slices.ContainsFunc(blocked(), func(b string) bool { return within1(word, b) }) {
			p.Flagged = append(p.Flagged, word)
		}
	}
	slices.Sort(p.Flagged)
	p.Flagged = slices.Compact(p.Flagged)
	return p, readers, nil
}

// within1 reports whether one letter changed, added or taken away at most makes
// one word the other: what they share at both ends is all but that.
func within1(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	head := 0
	for head < len(a) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head+tail >= len(b)-1
}

// canonical is a JSON value with its keys sorted and without spaces, as the
// functions that store write it. The samples' texts are ASCII.
func canonical(value json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
