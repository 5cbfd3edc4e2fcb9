// Package web is our own HTTP server: metrics, health, readiness and status,
// all read-only. It shows what it is given by functions and a registry, and
// knows no component behind them.
//
// It must not change anything, must not answer to other machines without a
// token (config refuses such a listen address; see Options.Token), and must not
// show a secret: what Status and Ready return is sent as it is.
//
// Failure modes: an address that can't be listened on is an error of class
// Config from Start; a server that dies later is logged; a slow or hostile
// client is bounded by timeouts and a limit on headers.
package web
