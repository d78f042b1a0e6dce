package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A page that knows nothing but its address shows the app at that host, so that every id gets the same page: the shell, and the part
// of an unknown, used or expired id.

// indexSites records the apps by the host of their public URL, and trusts their origins. A host that several apps share stands for
// none of them.
func (ps *pageServer) indexSites() error {
	ps.indexElementOrigins()
	ps.sites = map[string]*app{}
	for _, a := range ps.server.apps {
		u, err := url.Parse(a.publicURL)
		if err == nil {
			err = ps.origins.AddTrustedOrigin(u.Scheme + "://" + u.Host)
		}
		if err != nil {
			return fmt.Errorf("pages: public URL: %w", err)
		}
		host := strings.ToLower(u.Host)
		if _, shared := ps.sites[host]; shared {
			ps.sites[host] = nil
			continue
		}
		ps.sites[host] = a
	}
	return nil
}

// findSite returns the app at the host of a request, or nil. A server of one app serves it at every host, because a proxy can have
// replaced the host.
func (ps *pageServer) findSite(r *http.Request) *app {
	if len(ps.server.apps) == 1 {
		return ps.server.apps[0]
	}
	return ps.sites[strings.ToLower(r.Host)]
}

// siteBrand returns the brand of the app at the host of a request.
func (ps *pageServer) siteBrand(r *http.Request) brand {
	if a := ps.findSite(r); a != nil {
		return a.pages.brand
	}
	return brand{}
}

// siteTexts returns the texts of the app at the host of a request, in the language of the browser.
func (ps *pageServer) siteTexts(r *http.Request) pageTexts {
	if a := ps.findSite(r); a != nil {
		return a.pages.texts.forBrowser(r)
	}
	return ps.builtInTexts.forBrowser(r)
}

// siteAssets returns the assets of the brand at the host of a request.
func (ps *pageServer) siteAssets(r *http.Request) *pageAssets {
	if a := ps.findSite(r); a != nil {
		return a.pages.assets
	}
	return ps.assets
}

// assetPath returns the path of the assets at the host of a request, for a page whose own path can have any depth. A proxy can have
// removed the path of the public URL from that of the request.
func (ps *pageServer) assetPath(r *http.Request) string {
	if a := ps.findSite(r); a != nil {
		if u, err := url.Parse(a.publicURL); err == nil {
			return u.EscapedPath() + "/pages"
		}
	}
	return "/pages"
}

// newSiteView returns the data of a part that knows nothing but the host of the request.
func (ps *pageServer) newSiteView(x *exchange) *partView {
	v := &partView{pageTexts: ps.siteTexts(x.request), brand: ps.siteBrand(x.request)}
	v.Embedded = x.embedded
	return v
}
