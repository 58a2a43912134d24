attempts = (attempts or 0) + 1
if attempts == 1 then error("first time") end
return attempts
