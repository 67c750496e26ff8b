package grpcresolver

var ParseName = parseName
