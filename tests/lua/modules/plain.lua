local module = { name = ..., count = 0 }
return module
