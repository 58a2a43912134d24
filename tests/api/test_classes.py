"""Every class of objects: nothing of them can be read by name but the fields that policies know."""
import re
from pathlib import Path

from haka_case import HakaCase
from packets import CLIENT6, SERVER6, exchange, ping, tcp, SYN, udp, CLIENT, SERVER

LIBRARY = Path(__file__).resolve().parents[2] / "lua" / "haka"
CLASS = re.compile(r'core\.class\("struct \w+",[^"]*"([^"]*)",[^"]*name = "([^"]*)"', re.S)


def classes():
    """Name of each class -> the fields of its struct."""
    found = {}
    for path in sorted(LIBRARY.glob("*.lua")):
        text = path.read_text()
        matches = CLASS.findall(text)
        if len(matches) != text.count('core.class("'):
            raise AssertionError(f"{path.name}: a class is not understood")
        for fields, name in matches:
            found[name] = re.findall(r"(\w+)[,;]", fields)
    return found


class Classes(HakaCase):
    def test_no_field_of_a_struct_is_read_by_its_plain_name(self):
        known = classes()
        plain = sorted({field[:-1] for fields in known.values() for field in fields})
        self.assertTrue(all(field.endswith("_") for fields in known.values() for field in fields), known)
        names = ", ".join(f'"{name}"' for name in plain + ["data_", "0", "_", "index", "nonsense"])
        # `number` of a raw packet is a field that policies know.
        policy = """
            local walked = {}
            local function walk(object)
                local _, problem = pcall(function() return object.nonsense end)
                local class = problem:match(": ([^:]+) has no field")
                if walked[class] then return end
                walked[class] = true
                for _, name in ipairs{ %s } do
                    if not (class == "raw" and name == "number") then
                        local said = class .. ' has no field "' .. name .. '"'
                        expect.fails(said, function() return object[name] end)
                        expect.fails(said, function() object[name] = 1 end)
                    end
                end
            end
            walk(ipv4.addr(1)) walk(ipv6.network("fd00::/8")) walk(haka.time()) walk(haka.buffer(1))
            walk(haka.alert{ description = "x" })
            local function ip_of(ip) walk(ip) walk(ip.raw) walk(ip.payload) end
            haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt) ip_of(pkt) walk(pkt.flags) end }
            haka.rule{ hooks = { "ipv6-up" }, eval = function(self, pkt) ip_of(pkt) end }
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                walk(pkt) walk(pkt.flags) walk(pkt.payload)
            end }
            haka.rule{ hooks = { "udp-up", "icmp-up" }, eval = function(self, pkt) walk(pkt) end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                walk(pkt) walk(pkt.connection) walk(pkt.stream) walk(pkt.stream:mark())
            end }
            haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
                pkt.next_dissector = "http" end }
            haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
                walk(pkt) walk(pkt.request)
            end }
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt) walk(pkt) end }
            haka.on_exit(function()
                for _, class in ipairs{ %s } do expect.yes(walked[class], class) end
            end)""" % (names, ", ".join(f'"{name}"' for name in known))
        frames = exchange() + [ping(CLIENT, SERVER), udp(CLIENT, SERVER, 1, 2, b"x"),
                               tcp(CLIENT6, SERVER6, 1, 2, 3, 0, SYN)]
        result = self.run_policy('local expect = require("expect") ' + policy, frames)
        self.assertNotIn("NOT AS EXPECTED", result.out, result)
        self.assertNotIn(" error ", result.err, result)
        held = int(re.search(r"held (\d+) failed 0", result.out).group(1))
        self.assertEqual(held, 4 * (len(known) * (len(plain) + 5) - 1), result)
