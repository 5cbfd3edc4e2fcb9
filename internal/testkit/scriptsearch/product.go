package scriptsearch

import (
	"fmt"
	"net/http"
	"strings"
)

// Product is what the server says it is.
type Product struct {
	// Distribution is "opensearch", or "elasticsearch".
	Distribution string
	Version      string
}

// The products that sinks meet.
var (
	OpenSearch1    = Product{"opensearch", "1.3.20"}
	OpenSearch2    = Product{"opensearch", "2.19.4"}
	OpenSearch3    = Product{"opensearch", "3.6.0"}
	Elasticsearch7 = Product{"elasticsearch", "7.17.29"}
	Elasticsearch8 = Product{"elasticsearch", "8.19.21"}
	Elasticsearch9 = Product{"elasticsearch", "9.5.3"}
)

func (p Product) openSearch() bool { return p.Distribution == "opensearch" }

// header adds what the product puts into every answer.
func (p Product) header(h http.Header) {
	h.Set("Content-Type", "application/json; charset=UTF-8")
	if !p.openSearch() {
		h.Set("X-Elastic-Product", "Elasticsearch")
	}
}

// root is the answer to GET /.
func (p Product) root() string {
	if p.openSearch() {
		return fmt.Sprintf(`{"name":"n1","cluster_name":"scripted","cluster_uuid":"c0","version":{"distribution":"opensearch","number":%q,"build_type":"zip","minimum_wire_compatibility_version":"2.19.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`, p.Version)
	}
	return fmt.Sprintf(`{"name":"n1","cluster_name":"scripted","cluster_uuid":"c0","version":{"number":%q,"build_flavor":"default","build_type":"zip","minimum_wire_compatibility_version":"7.17.0"},"tagline":"You Know, for Search"}`, p.Version)
}

// parsingError is the error type of a document that can't be mapped.
func (p Product) parsingError() string {
	if p.openSearch() || strings.HasPrefix(p.Version, "7.") {
		return "mapper_parsing_exception"
	}
	return "document_parsing_exception"
}
