// Package archtest holds the tests of the code's shape: which package may
// import which, how long functions and files may grow, what tests may not do,
// and that exported names say what they promise. It has no code of the product.
package archtest
