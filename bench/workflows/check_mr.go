package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/bench/services"
)

// movieInput is mr's sample input.
type movieInput struct {
	User   string `json:"user"`
	Title  string `json:"title"`
	Rating int    `json:"rating"`
	Text   string `json:"text"`
}

// review is mr's.
type review struct {
	ID    string  `json:"id"`
	User  account `json:"user"`
	Movie struct {
		ID    string `json:"id"`
		Title string `json:"title"`
		Year  int    `json:"year"`
	} `json:"movie"`
	Rating    int      `json:"rating"`
	Text      string   `json:"text"`
	Words     int      `json:"words"`
	Keywords  []string `json:"keywords"`
	Signature []uint64 `json:"signature"`
}

func newMovieCheck(data *services.Dataset) (func([]byte) error, error) {
	var in movieInput
	if err := sample(mr, &in); err != nil {
		return nil, err
	}
	u := slices.IndexFunc(data.Users, func(u services.User) bool { return u.Name == in.User })
	m := slices.IndexFunc(data.Movies, func(m services.Movie) bool { return m.Title == in.Title })
	if u < 0 || m < 0 {
		return nil, errors.New("sample.json names a user or a movie that the data have not")
	}
	user, movie := &data.Users[u], &data.Movies[m]
	words, keywords, signature := textOfReview(in.Text)
	return func(answer []byte) error {
		var got struct {
			Review json.RawMessage `json:"review"`
			Stored []stored        `json:"stored"`
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			return fmt.Errorf("it is no JSON as expected: %w", err)
		}
		var r review
		if err := json.Unmarshal(got.Review, &r); err != nil {
			return fmt.Errorf("the review: %w", err)
		}
		if len(got.Stored) != 3 {
			return fmt.Errorf("%d functions stored the review, want 3", len(got.Stored))
		}
		text, err := canonical(got.Review)
		if err != nil {
			return err
		}
		var wrong error
		if !digits.MatchString(r.ID) {
			wrong = fmt.Errorf("the review's id is %q", r.ID)
		}
		storage, ofUser, ofMovie := got.Stored[0], got.Stored[1], got.Stored[2]
		// All reviews since the seeding gave the sample's rating.
		added := ofMovie.Ratings - movie.Ratings
		if added < 1 {
			wrong = errors.Join(wrong, fmt.Errorf("the movie has %d ratings, and had %d before any review", ofMovie.Ratings, movie.Ratings))
		}
		return errors.Join(
			wrong,
			same("the user", r.User, account{ID: user.ID, Name: user.Name}),
			same("the movie's id", r.Movie.ID, movie.ID),
			same("the movie's title", r.Movie.Title, movie.Title),
			same("the movie's year", r.Movie.Year, movie.Year),
			same("the rating", r.Rating, in.Rating),
			same("the text", r.Text, in.Text),
			same("the number of words", r.Words, words),
			sameList("the keywords", r.Keywords, keywords),
			sameList("the signature's hashes", r.Signature, signature),
			same("the stored review's id", storage.Stored, r.ID),
			same("the checksum of what PostgreSQL holds", storage.CRC32, crc32.ChecksumIEEE(text)),
			same("the author of the user's list", ofUser.Author, user.ID),
			same("the newest of the user's list", ofUser.Newest, r.ID),
			same("the rated movie", ofMovie.Movie, movie.ID),
			same("the sum of the stars", ofMovie.Stars, movie.Stars+added*in.Rating),
		)
	}, nil
}

// textOfReview derives what upload_text finds: hashes, their prime and the length
// of shingles are those of the function.
func textOfReview(text string) (words int, keywords []string, signature []uint64) {
	const hashes, prime, shingle = 96, 1<<31 - 1, 3
	all := letters.FindAllString(strings.ToLower(text), -1)
	counts := make(map[string]int)
	for _, word := range all {
		if len(word) > 4 {
			if counts[word]++; counts[word] == 1 {
				keywords = append(keywords, word)
			}
		}
	}
	slices.SortFunc(keywords, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	signature = make([]uint64, hashes)
	for i := 0; i+shingle <= len(all); i++ {
		x := uint64(crc32.ChecksumIEEE([]byte(strings.Join(all[i:i+shingle], " "))))
		for n := range uint64(hashes) {
			h := ((2*n+1)*40_503*x + n*65_537) % prime
			if i == 0 || h < signature[n] {
				signature[n] = h
			}
		}
	}
	return len(all), keywords[:min(5, len(keywords))], signature
}
