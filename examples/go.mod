module github.com/dahernan/gopherdiscovery/examples

go 1.25.0

require github.com/dahernan/gopherdiscovery v0.0.0

replace github.com/dahernan/gopherdiscovery => ../
