return "deep " .. require("plain").name
