made_by_silent = true
