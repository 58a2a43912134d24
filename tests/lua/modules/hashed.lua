#!/usr/bin/haka run
return "hashed"
