// Package prices holds what providers charge for the resources that a request
// holds: built-in tables of public list prices, each with its source and date,
// and files of the same form that users write.
//
// It knows no plan: what a request holds, and the sum, are plan.Prices'.
package prices
