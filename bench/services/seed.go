package services

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// schema of the tables, which are made anew by each seeding.
const schema = `BEGIN;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE TABLE dataset (seed integer NOT NULL);
CREATE TABLE users (
  id integer PRIMARY KEY, name text UNIQUE NOT NULL, full_name text NOT NULL, salt text NOT NULL, password text
);
CREATE TABLE follows (followee integer REFERENCES users, follower integer REFERENCES users, PRIMARY KEY (followee, follower));
CREATE TABLE posts (id bigint PRIMARY KEY, author integer REFERENCES users NOT NULL, body jsonb NOT NULL);
CREATE TABLE user_timelines (author integer REFERENCES users, post bigint, PRIMARY KEY (author, post));
CREATE TABLE movies (id text PRIMARY KEY, title text UNIQUE NOT NULL, year integer NOT NULL, plot text NOT NULL);
CREATE TABLE reviews (
  id bigint PRIMARY KEY, author integer REFERENCES users NOT NULL, movie text REFERENCES movies NOT NULL, body jsonb NOT NULL
);
CREATE TABLE user_reviews (author integer REFERENCES users, review bigint, PRIMARY KEY (author, review));
CREATE TABLE movie_reviews (movie text REFERENCES movies, review bigint, PRIMARY KEY (movie, review));
`

// Seed puts the workflows' data into the stores, and takes out all that was there.
// Done twice, it leaves the same.
func (s *Services) Seed(ctx context.Context) error {
	data := Generate()
	script, err := data.script()
	if err != nil {
		return err
	}
	if _, err := s.sql(ctx, strings.NewReader(script)); err != nil {
		return fmt.Errorf("services: put the data into %w", err)
	}
	if err := s.seedRedis(ctx, data); err != nil {
		return fmt.Errorf("services: put the data into %w", err)
	}
	// What it caches comes from PostgreSQL, and may be of other data.
	if err := s.flushMemcached(ctx); err != nil {
		return err
	}
	return s.makeBucket()
}

// Empty takes the workflows' data out of the stores.
func (s *Services) Empty(ctx context.Context) error {
	if _, err := s.sql(ctx, strings.NewReader("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")); err != nil {
		return fmt.Errorf("services: empty %w", err)
	}
	if err := converse(ctx, redis, s.Ports.Redis, "FLUSHALL\r\n", "+OK"); err != nil {
		return fmt.Errorf("services: empty %w", err)
	}
	if err := s.flushMemcached(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.dir, s3Dir, Bucket)); err != nil {
		return fmt.Errorf("services: empty %s: %w", s3, err)
	}
	return nil
}

func (s *Services) flushMemcached(ctx context.Context) error {
	if err := converse(ctx, memcached, s.Ports.Memcached, "flush_all\r\n", "OK"); err != nil {
		return fmt.Errorf("services: empty %w", err)
	}
	return nil
}

// script is the SQL that makes and fills the tables.
func (d *Dataset) script() (string, error) {
	var b strings.Builder
	b.WriteString(schema)
	// The texts have neither tabs nor backslashes, which COPY would want escaped.
	copyInto := func(table string, rows func() error) error {
		fmt.Fprintf(&b, "COPY %s FROM stdin;\n", table)
		err := rows()
		b.WriteString("\\.\n")
		return err
	}
	err := copyInto("users (id, name, full_name, salt, password)", func() error {
		for i := range d.Users {
			u := &d.Users[i]
			derived, err := u.Derived()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%d\t%s\t%s\t%s\t%s\n", u.ID, u.Name, u.FullName, hex.EncodeToString(u.Salt), derived)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	_ = copyInto("follows (followee, follower)", func() error {
		for _, u := range d.Users {
			for _, f := range u.Followers {
				fmt.Fprintf(&b, "%d\t%d\n", u.ID, f)
			}
		}
		return nil
	})
	_ = copyInto("movies (id, title, year, plot)", func() error {
		for _, m := range d.Movies {
			fmt.Fprintf(&b, "%s\t%s\t%d\t%s\n", m.ID, m.Title, m.Year, m.Plot)
		}
		return nil
	})
	// The last that is written: where it is, all is.
	fmt.Fprintf(&b, "INSERT INTO dataset VALUES (%d);\nCOMMIT;\nANALYZE;\n", Seed)
	return b.String(), nil
}

// seedRedis empties it and sets the movies' ratings so far.
func (s *Services) seedRedis(ctx context.Context, d *Dataset) error {
	var b strings.Builder
	commands := 0
	command := func(words ...string) {
		commands++
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	command("FLUSHALL")
	for _, m := range d.Movies {
		command("HSET", "rating:"+m.ID, "ratings", fmt.Sprint(m.Ratings), "stars", fmt.Sprint(m.Stars))
	}
	command("SET", "dataset", fmt.Sprint(Seed))
	want := []string{"+OK"}
	for range d.Movies {
		want = append(want, ":2")
	}
	return converse(ctx, redis, s.Ports.Redis, b.String(), append(want, "+OK")...)
}

// makeBucket makes the bucket, which is a folder, without what functions left there.
func (s *Services) makeBucket() error {
	bucket := filepath.Join(s.dir, s3Dir, Bucket)
	if err := os.RemoveAll(bucket); err != nil {
		return fmt.Errorf("services: empty %s: %w", s3, err)
	}
	as, err := account()
	if err != nil {
		return err
	}
	return mkdirFor(bucket, as)
}
