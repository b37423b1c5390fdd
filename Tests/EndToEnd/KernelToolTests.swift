// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import RunDirectory
import TestSupport
import Testing

/// A Linux guest at three places, read by these tools, by crash and by drgn. Needs the kernel's vmlinux (scripts/fetch-vmlinux).
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(10)))
    struct KernelToolTests {
        /// Expressions of `--print`, and the same for drgn.
        private static let variables: [(gdb: String, drgn: String)] = [
            ("jiffies_64", "prog['jiffies_64']"),
            ("current->pid", "current.pid"),
            ("(unsigned long)current", "current"),
            ("current->se.sum_exec_runtime", "current.se.sum_exec_runtime"),
            ("(unsigned long)current->mm", "current.mm"),
            ("nr_threads", "prog['nr_threads']"),
            ("total_forks", "prog['total_forks']"),
            ("init_pid_ns.idr.idr_next", "prog['init_pid_ns'].idr.idr_next"),
            ("(unsigned long)modules.next", "prog['modules'].next"),
            ("((struct page *)vmemmap_base)->flags", "drgn.Object(prog, 'struct page *', prog['vmemmap_base']).flags"),
            ("(unsigned char)init_uts_ns.name.release[4]", "prog['init_uts_ns'].name.release[4]"),
        ]

        private struct Answer {
            var values: [String]
            var symbol: String?
            var rip: String
            /// Thread and address of each task.
            var tasks: Set<String>
            var running: Int
            var lastMessage: String
        }

        /// What tt-replay says of a place; it writes a core too.
        private func asked(_ directory: String, _ place: String, _ vmlinux: String, core: String) throws -> Answer {
            let expressions = Self.variables.flatMap { ["--print", $0.gdb] }
            let result = try run(
                Products.tool("tt-replay"),
                [
                    directory, "--at", place, "--symbols", vmlinux, "--quiet", "--core", core, "--format", "json",
                    "--print",
                    "tasks", "--print", "dmesg",
                ] + expressions, seconds: 300)
            try #require(result.status == 0, "\(result)")
            let document = try JSONSerialization.jsonObject(with: Data(result.out.utf8)) as? [String: Any]
            let values = try #require(document?["values"] as? [[String: Any]])
            let linux = try #require(document?["linux"] as? [String: Any])
            let tasks = try #require(linux["tasks"] as? [[String: Any]])
            let messages = try #require(linux["dmesg"] as? [[String: Any]])
            return Answer(
                values: values.map { String(($0["value"] as? String ?? "").prefix { $0 != " " }) },
                symbol: document?["symbol"] as? String, rip: try #require(document?["rip"] as? String),
                tasks: Set(tasks.map { "\($0["thread"] ?? "") \($0["address"] ?? "")" }),
                running: try #require(tasks.first { $0["isRunning"] as? Bool == true }?["thread"] as? Int),
                lastMessage: try #require(messages.last?["text"] as? String))
        }

        private func crash(_ crash: String, _ vmlinux: String, _ core: String, _ commands: [String]) throws
            -> ToolResult
        {
            let lines = (commands + ["quit"]).joined(separator: "\\n")
            return try run(
                "/bin/sh", ["-c", "printf '\(lines)\\n' | '\(crash)' -s '\(vmlinux)' '\(core)'"], seconds: 200)
        }

        /// The values of the variables, by drgn.
        private func drgn(_ vmlinux: String, _ core: String, _ scratch: TemporaryDirectory) throws -> [String] {
            let script = scratch.file("variables.py")
            let lines =
                [
                    "import drgn", "from drgn.helpers.linux.percpu import per_cpu",
                    "current = per_cpu(prog['runqueues'], 0).curr",
                ]
                + Self.variables.map { "print(int(\($0.drgn)))" }
            try Files.replace(script, with: Array(lines.joined(separator: "\n").utf8))
            let result = try run("/usr/bin/drgn", ["-q", "-c", core, "-s", vmlinux, script], seconds: 200)
            #expect(result.status == 0, "\(result)")
            return result.out.split(separator: "\n").map(String.init)
        }

        @Test func crashAndDrgnSeeWhatTheToolsSee() throws {
            guard let vmlinux = try LinuxGuest.vmlinux() else {
                print("no vmlinux of the guest's kernel here: scripts/fetch-vmlinux")
                return
            }
            let fetched = try run("\(Products.root)/scripts/fetch-crash", [], seconds: 300)
            try #require(fetched.status == 0, "\(fetched)")
            let program = String(fetched.out.prefix { $0 != "\n" })
            let scratch = try temporaryDirectory()
            let directory = scratch.file("run")
            try LinuxGuest.record(into: directory, ["--quiet"])
            // In a program, in the kernel at a function, and in an interrupt handler.
            let work = try #require(try LinuxGuest.programAddresses(directory).first)
            for place in ["*0x\(String(work, radix: 16))", "do_exit:40", "console:9"] {
                let core = scratch.file("core")
                let answer = try asked(directory, place, vmlinux, core: core)
                #expect(answer.values.count == Self.variables.count && !answer.values.contains(""), "\(answer.values)")
                #expect(try drgn(vmlinux, core, scratch) == answer.values, "\(place)")

                let seen = try crash(program, vmlinux, core, ["ps", "bt \(answer.running)", "log"])
                let rows = seen.out.split(separator: "\n").map { $0.split { $0 == " " || $0 == ">" } }
                let tasks = rows.filter { $0.count >= 9 && Int($0[0]) != nil && $0[3].hasPrefix("ffff") }
                #expect(Set(tasks.map { "\($0[0]) 0x\($0[3])" }) == answer.tasks, "\(place)")
                #expect(answer.tasks.count > 40)
                // The innermost frame of the running task.
                let digits = answer.rip.dropFirst(2)
                let rip = "RIP: " + String(repeating: "0", count: 16 - digits.count) + digits
                #expect(seen.out.contains("PID: \(answer.running) ") && seen.out.contains(rip), "\(place) \(seen)")
                #expect(seen.out.contains("Linux version 6.1.") && seen.out.contains(answer.lastMessage), "\(place)")
                unlink(core)
            }
        }
    }
}
