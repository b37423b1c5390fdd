// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// A log of XenTT, written by a C program that defines its records, and imported with the layout from this program.
@Suite struct XenTTImportTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let program = #"""
        #include <stdint.h>
        #include <stdio.h>
        #include <string.h>
        enum ttd_event { TTD_NONE, TTD_EXCEPTION = 16, TTD_RDTSC = 20, TTD_HW_BRANCHES_64 = 40, TTD_MYSTERY = 41 };
        typedef uint16_t ttd_domid_t;
        struct ttd_rec {
            char magic;
            uint32_t data_len;
            struct { EVENT event; uint32_t info; } event;
            ttd_domid_t domid;
            union { uint16_t vcpu_id; uint8_t byte; };
            struct { uint64_t brctr_virt; const uint64_t ip; uint64_t cx; } cpu_state;
            uint8_t data[40];
        };
        static FILE *file;
        static void put(int event, int info, int domid, int vcpu, uint64_t brctr, uint64_t ip, const void *data, size_t length) {
            static struct ttd_rec slots[8];
            memset(slots, 0, sizeof slots);
            struct { uint64_t brctr, ip, cx; } state = { brctr, ip, 3 };
            slots[0].data_len = length;
            slots[0].event.event = event;
            slots[0].event.info = info;
            slots[0].domid = domid;
            slots[0].vcpu_id = vcpu;
            memcpy(&slots[0].cpu_state, &state, sizeof state);
            size_t first = length < 40 ? length : 40;
            memcpy(slots[0].data, data, first);
            memcpy(slots + 1, (const char *)data + first, length - first);
            fwrite(slots, sizeof *slots, 1 + (length - first + sizeof *slots - 1) / sizeof *slots, file);
        }
        int main(int argc, char **argv) {
            uint64_t branches[7][3];
            for (int i = 0; i < 7; i++) { branches[i][0] = 0x1000 + i; branches[i][1] = 0x2000 + i; branches[i][2] = 0; }
            file = fopen(argv[argc - 1], "w");
            put(TTD_HW_BRANCHES_64, 0, 5, 0, 100, 0x1000, branches, sizeof branches);
            put(TTD_EXCEPTION, 14, 5, 0, 107, 0xc029ec30, "abcd", 4);
            put(TTD_RDTSC, 0, 6, 0, 1, 0x1, "", 0);
            put(TTD_MYSTERY, 9, 5, 1, 50, 0x5000, "", 0);
            put(TTD_HW_BRANCHES_64, 0, 5, 0, 107, 0x1000, branches, 24);
            put(77, 0, 5, 0, 107, 0x1000, "", 0);
            put(TTD_HW_BRANCHES_64, 0, 5, 0, 200, 0x1000, branches, 48);
            fwrite("cut", 3, 1, file);
            return fclose(file);
        }
        """#

    /// Compiles and runs the program. Returns the paths of both files.
    private func make(_ event: String) throws -> (program: String, log: String) {
        let source = try directory.write("records.c", XenTTImportTests.program)
        let program = directory.file("records")
        let compiled = try Tool(path: "/usr/bin/gcc").run(["-g", "-DEVENT=\(event)", "-o", program, source])
        #expect(compiled.status == 0, "\(compiled.errors)")
        #expect(try Tool(path: program).run([directory.file("old.log")]).status == 0)
        return (program, directory.file("old.log"))
    }

    // Where the member is a number, an enumeration of the same unit names the events.
    @Test(arguments: ["enum ttd_event", "uint32_t"]) func recordsAreReadByTheirDebugInformation(event: String) throws {
        let (program, old) = try make(event)
        let result = try Tool.analyze.run(["import", "--layout-from", program, old, "-o", directory.file("new.log")])
        // The slot with an unknown event, and the end.
        #expect(
            result.status == 2 && result.errors.contains("10 branches, 2 events of 2 vCPUs, from xentt"),
            "\(result.errors)")
        #expect(result.errors.contains("no record here; 1 records lost") && result.errors.contains("record cut short"))
        let log = try LogFile(path: directory.file("new.log"))
        #expect(log.header.clock == .retiredBranches && log.header.clockBase == 100)
        var branches: [Branch] = []
        var cursor = log.branches()
        while let branch = cursor.next() { branches.append(branch) }
        #expect(branches.map(\.clock) == Array(100...107) + [200, 201])
        #expect(branches.map(\.from) == (0..<7).map { 0x1000 + $0 } + [0x1000, 0x1000, 0x1001])
        #expect(branches.map(\.to).prefix(7) == (0..<7).map { 0x2000 + $0 }[...])
        var events: [Event] = []
        for vcpu in log.vcpus {
            var cursor = log.events([.event, .access], vcpu: vcpu)
            while let event = cursor.next() { events.append(event) }
        }
        #expect(events.map(\.kind) == [.exception, EventKind(rawValue: 0x4000 | 41)])
        #expect(events[0].info == 14 && events[0].ip == 0xc029_ec30 && events[0].clock == 107 && events[0].aux == 3)
        #expect(events[0].payload == Array("abcd".utf8))
        #expect(log.attributes["import.kind.\(0x4000 | 41)"] == "TTD_MYSTERY" && log.attributes["import.domid"] == "5")
        #expect(log.attributes["import.records-of-other-domains"] == "1")
    }

    @Test func binariesWithoutTheStructureAreRefused() throws {
        let (_, old) = try make("uint32_t")
        let source = try directory.write(
            "other.c", "struct ttd_rec { int data_len; char data[60]; } r; int main(void) { return r.data_len; }")
        for flags in [["-g"], ["-g0"]] {
            #expect(try Tool(path: "/usr/bin/gcc").run(flags + ["-o", directory.file("other"), source]).status == 0)
            let result = try Tool.analyze.run(
                ["import", "--layout-from", directory.file("other"), old, "-o", directory.file("x")])
            #expect(
                result.status == 2 && result.errors.contains(flags == ["-g"] ? "no member event.event" : "DWARF"),
                "\(result.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: directory.file("x")))
    }
}
