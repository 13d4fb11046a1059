// Package stock tells what a shop has: func notCode() stands in a comment.
package stock

import (
	"errors"
	"fmt"
)

const (
	Shelf      = 40
	deep, wide = 2, 3
)

var ErrFull = errors.New("func neither() {}")

type Item struct {
	Name  string
	Count int
}

type (
	Shelver interface {
		Put(item Item) (bool, error)
		fmt.Stringer
	}
	Names = map[string]Item
)

type Store[T Shelver] struct {
	items []T
}

func New(names ...string) *Store[Shelver] {
	longest := func(one, other string) bool { return len(one) > len(other) }
	_ = longest
	return &Store[Shelver]{}
}

func (s *Store[T]) Put(item Item) (full bool, err error) {
	var limit = Shelf
	if len(s.items) > limit {
		return true, ErrFull
	}
	return false, nil
}

func (Item) String() string { return `func nor_this() {}` }
