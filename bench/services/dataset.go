package services

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Seed of the workflows' data.
const Seed = 1123

// Sizes of the data: small enough that they are made in a second, large enough
// that a post has dozens of readers.
const (
	users  = 200
	movies = 120
	// writers: one of so many users has a password, whose derivation takes time.
	writers = 10
	// iterations of the passwords' derivation; those of the function upload_creator.
	iterations = 10_000
)

// User of the social network and of the movies' reviews.
type User struct {
	ID       int
	Name     string
	FullName string
	// Password as the user types it; empty: the user has none, and only reads.
	Password string
	Salt     []byte
	// Followers are users' ids, sorted.
	Followers []int
}

// Derived is the password as PostgreSQL has it, in the form that COPY reads.
func (u *User) Derived() (string, error) {
	if u.Password == "" {
		return `\N`, nil // NULL
	}
	key, err := pbkdf2.Key(sha256.New, u.Password, u.Salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("services: derive the password of %s: %w", u.Name, err)
	}
	return hex.EncodeToString(key), nil
}

// Movie that users review.
type Movie struct {
	ID    string
	Title string
	Year  int
	Plot  string
	// Ratings of 1 to 10 that it has had, and their sum.
	Ratings, Stars int
}

// Dataset is what the workflows' stores hold before any of them has run.
type Dataset struct {
	Users  []User  // ids count from 1
	Movies []Movie // ids count from m001
}

// draws are numbers of one generator, which are the same for a seed everywhere.
type draws struct{ source *rand.PCG }

func (d draws) below(n int) int { return int(d.source.Uint64() % uint64(n)) } // #nosec: n > 0 and small

func (d draws) of(words []string) string { return words[d.below(len(words))] }

// Generate makes the data.
func Generate() *Dataset {
	d := draws{rand.NewPCG(Seed, Seed)}
	given := strings.Fields("Ada Alan Barbara Claude Donald Edsger Frances Grace John Ken Leslie Margaret Niklaus Radia Tim Tony")
	family := strings.Fields("Acker Birch Castle Dorn Elm Frost Gale Holt Iver Jung Kern Lund Moor North Oak Pell Quist Reed Stone Thorn")
	data := &Dataset{}
	for id := 1; id <= users; id++ {
		first, last := d.of(given), d.of(family)
		u := User{ID: id, Name: fmt.Sprintf("%s_%03d", strings.ToLower(first), id), FullName: first + " " + last}
		if password := fmt.Sprintf("%s-%d", strings.ToLower(last), d.below(1_000_000)); id%writers == 7 {
			u.Password = password
		}
		u.Salt = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, d.source.Uint64()), d.source.Uint64())
		for range 8 + d.below(32) {
			if f := 1 + d.below(users); f != id {
				u.Followers = append(u.Followers, f)
			}
		}
		slices.Sort(u.Followers)
		u.Followers = slices.Compact(u.Followers)
		data.Users = append(data.Users, u)
	}
	adjective := strings.Fields("Silent Golden Broken Distant Hidden Burning Frozen Crimson Empty Restless")
	noun := strings.Fields("Harbour Orchard Signal Compass Lantern River Archive Winter Garden Station Horizon Letter")
	plot := strings.Fields("a sailor finds an old map and leaves home before the storm comes while her brother keeps the light burning for all who are still at sea")
	for n := range movies {
		m := Movie{
			ID: fmt.Sprintf("m%03d", n+1), Year: 1950 + d.below(75),
			// Every pair of words is one movie's.
			Title: "The " + adjective[n%len(adjective)] + " " + noun[n/len(adjective)],
		}
		var words []string
		for range 40 + d.below(40) {
			words = append(words, d.of(plot))
		}
		m.Plot = strings.Join(words, " ")
		m.Ratings = 10 + d.below(500)
		for range m.Ratings {
			m.Stars += 1 + d.below(10)
		}
		data.Movies = append(data.Movies, m)
	}
	return data
}
