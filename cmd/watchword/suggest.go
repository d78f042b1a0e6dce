package main

import (
	"fmt"
	"strings"
)

// suggest returns a question that names the candidate which a text was probably meant to be, or an empty text. Up to a quarter of
// the candidate's letters may be mistyped.
func suggest(text string, candidates []string) string {
	best, fewest := "", len(text)+1
	for _, c := range candidates {
		mistakes := countMistakes(plainLetters(text), plainLetters(c))
		if mistakes <= len(c)/4 && mistakes < fewest {
			best, fewest = c, mistakes
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// plainLetters removes what people write differently: letter case, hyphens, underscores and spaces.
func plainLetters(text string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(text))
}

// countMistakes returns how many bytes were left out, added, replaced or exchanged with their neighbor (optimal string alignment).
func countMistakes(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
