local t = ...
local test, equal, contains, policy, failure = t.test, t.equal, t.contains, t.policy, t.failure

test("every field reaches the native side in one shape", function()
    t.core.context.now = 1700000000123456789LL
    policy [[
        haka.alert{
            start_time = haka.time(), end_time = 2.5,
            description = "all", severity = "high", confidence = "low", completion = "failed",
            method = { description = "how", ref = { "a", "b" } },
            sources = haka.alert.address(ipv4.addr("192.168.10.1"), 48922),
            targets = { haka.alert.address("::1"), haka.alert.service("tcp/22", "ssh") },
            ref = "cve",
        }
    ]]
    local alert = t.alerts[1]
    equal(alert.start_seconds, 1700000000)
    equal(alert.start_nanos, 123456789)
    equal(alert.end_seconds, 2)
    equal(alert.end_nanos, 500000000)
    equal(alert.description, "all")
    equal(alert.severity, 2)
    equal(alert.confidence, 0)
    equal(alert.completion, 0)
    equal(alert.method_description, "how")
    equal(alert.method_references[2], "b")
    equal(alert.sources[1].kind, 0)
    equal(alert.sources[1][1], "192.168.10.1")
    equal(alert.sources[1][2], "48922")
    equal(alert.targets[1][1], "::1")
    equal(alert.targets[2].kind, 1)
    equal(alert.targets[2][2], "ssh")
    equal(alert.references[1], "cve")
    equal(alert.reference, nil)
end)

test("what is left out stays out", function()
    policy "haka.alert{ description = 'x' }"
    local alert = t.alerts[1]
    alert.description = nil
    equal(next(alert), nil)
end)

test("confidence may be a number", function()
    policy "haka.alert{ confidence = 0.75 }"
    equal(t.alerts[1].confidence_number, 0.75)
    equal(t.alerts[1].confidence, nil)
    contains(failure "haka.alert{ confidence = 0/0 }", "confidence: expected a finite number")
end)

test("an update names the alert it belongs to", function()
    policy [[
        local first = haka.alert{ description = "one" }
        local second = haka.alert{ description = "two" }
        haka.alert.update(first, { severity = "low" })
        assert(first ~= second and first ~= nil and first == first and tostring(second) == "2")
    ]]
    equal(#t.alerts, 3)
    equal(t.alerts[3].reference, 1)
    contains(failure "haka.alert.update(7, {})", "haka.alert.update: expected what haka.alert{...}")
    contains(failure "haka.alert.update(nil, {})", "got nil")
    contains(failure "haka.alert.update(haka.alert{ ref = 'x' }, {})", "the table is empty")
    contains(failure "local r = haka.alert{ ref = 'x' } r.number = 5", "alert reference has no field")
end)

test("an unknown field is named with the nearest", function()
    contains(failure "haka.alert{ desciption = 'x' }",
        "haka.alert: unknown field \"desciption\" (nearest: \"description\")")
    contains(failure "haka.alert{ method = { refs = 'x' } }", "haka.alert: method: unknown field \"refs\"")
    contains(failure "haka.alert{ 'x' }", "unknown field 1")
    contains(failure "haka.alert.adress()", "haka.alert has no field \"adress\" (nearest: \"address\")")
    equal(#t.alerts, 0)
end)

test("an unknown value is named with those that exist", function()
    contains(failure "haka.alert{ severity = 'hihg' }",
        "severity: unknown value \"hihg\", expected one of \"low\", \"medium\", \"high\" (nearest: \"high\")")
    contains(failure "haka.alert{ severity = 3 }", "severity: unknown value 3")
    contains(failure "haka.alert{ completion = 'done' }", "completion: unknown value \"done\"")
    contains(failure "haka.alert{ confidence = 'sure' }", "confidence: unknown value \"sure\"")
    contains(failure "haka.alert{ confidence = {} }", "confidence: unknown value")
end)

test("values of the wrong type are named", function()
    contains(failure "haka.alert{ description = {} }", "description: expected a string")
    contains(failure "haka.alert{ start_time = 'now' }", "start_time: expected a time or seconds")
    contains(failure "haka.alert{ end_time = 1e300 }", "end_time: expected a time or seconds")
    contains(failure "haka.alert{ end_time = 0/0 }", "end_time: expected a time or seconds")
    contains(failure "haka.alert{ method = 'x' }", "method: expected a table, got string")
    contains(failure "haka.alert{ method = { ref = { 'x', {} } } }", "method.ref[2]: expected a string")
    contains(failure "haka.alert{ sources = '1.2.3.4' }", "sources: expected haka.alert.address(...)")
    contains(failure "haka.alert{ targets = { haka.alert.address(1), 5 } }", "targets[2]: expected")
    contains(failure "haka.alert{ targets = { ip = haka.alert.address(1) } }", "with the field \"ip\"")
    contains(failure "haka.alert{ ref = true }", "ref: expected a string, got true")
    contains(failure "haka.alert()", "haka.alert: expected a table, got nil")
    contains(failure "haka.alert{}", "the table is empty")
    equal(#t.alerts, 0)
end)

test("nodes take addresses, texts and numbers", function()
    equal(policy "return tostring(haka.alert.address(ipv6.addr('::1'), 'name', 80))", "::1 name 80")
    contains(failure "haka.alert.address()", "haka.alert.address: expected at least one value")
    contains(failure "haka.alert.address('a', nil)", "haka.alert.address: value 2: expected an address")
    contains(failure "haka.alert.service({})", "haka.alert.service: value 1")
    contains(failure "haka.alert.address(1).port = 2", "alert node can't be written")
    contains(failure "return haka.alert.address(1).port", "alert node has no field \"port\"")
end)

test("texts keep all their bytes", function()
    policy "haka.alert{ description = 'a\\0b', ref = ('x'):rep(100000) }"
    equal(t.alerts[1].description, "a\0b")
    equal(#t.alerts[1].references[1], 100000)
end)

test("full output is an error that names the limit", function()
    t.status = 9
    contains(failure "haka.alert{ description = 'x' }", "lua.output_max")
end)
