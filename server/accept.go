package server

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// mediaWeights are the weights of an Accept header (RFC 9110 §12.5.1), by media range.
type mediaWeights map[string]float64

// parseAccept returns the weights of a request. Malformed entries count for nothing, and parameters other than q are ignored.
func parseAccept(h http.Header) mediaWeights {
	weights := mediaWeights{}
	for _, value := range h.Values("Accept") {
		for entry := range strings.SplitSeq(value, ",") {
			mediaRange, parameters, err := mime.ParseMediaType(entry)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, weighted := parameters["q"]; weighted {
				if weight, err = strconv.ParseFloat(q, 64); err != nil || !(weight >= 0 && weight <= 1) { // also not NaN
					continue
				}
			}
			weights[mediaRange] = max(weights[mediaRange], weight)
		}
	}
	return weights
}

// weigh returns the weight of a media type: that of the most specific range that it is in, and 0 if there is none.
func (w mediaWeights) weigh(mediaType string) float64 {
	kind, _, _ := strings.Cut(mediaType, "/")
	for _, mediaRange := range []string{mediaType, kind + "/*", "*/*"} {
		if weight, listed := w[mediaRange]; listed {
			return weight
		}
	}
	return 0
}

// prefersHTML reports whether a client would rather have HTML than JSON, as browsers that open an address do. One that accepts both
// alike, such as curl with its */*, does not.
func prefersHTML(h http.Header) bool {
	weights := parseAccept(h)
	return weights.weigh("text/html") > max(weights.weigh(contentTypeJSON), weights.weigh(contentTypeProblem))
}
