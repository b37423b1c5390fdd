// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import RunDirectory
import TestSupport
import Testing

/// The programs that read a kernel's core.
private enum KernelDebuggers {
    static let drgn = "/usr/bin/drgn"

    /// crash 9; nil if it is not here and cannot be fetched.
    static let crash: String? = {
        let fetched = try? run("\(Products.root)/scripts/fetch-crash", [], seconds: 120)
        return fetched?.status == 0 ? fetched?.out.split(separator: "\n").first.map(String.init) : nil
    }()
}

/// A Linux guest at three places, read by these tools, by crash and by drgn.
extension EndToEndTests.QEMU10.Linux {
    @Suite(
        .serialized, .enabled(if: LinuxGuest.hasVmlinux, "the kernel's vmlinux is not here: scripts/fetch-vmlinux"),
        .enabled(if: KernelDebuggers.crash != nil, "crash 9 is not here and cannot be fetched: scripts/fetch-crash"),
        .enabled(if: Files.exists(KernelDebuggers.drgn), "drgn is not here: python3-drgn"))
    struct KernelTools {
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
            var brctr: UInt64
            var rip: String
            /// Thread and address of each task.
            var tasks: Set<String>
            var running: Int
            var lastMessage: String
        }

        /// What tt-replay says of a place; it writes a core too.
        private func asked(_ place: String, _ vmlinux: String, core: String) throws -> Answer {
            let expressions = Self.variables.flatMap { ["--print", $0.gdb] }
            let result = try run(
                Products.tool("tt-replay"),
                [
                    LinuxRecording.current, "--at", place, "--symbols", vmlinux, "--quiet", "--core", core, "--format",
                    "json", "--print", "tasks", "--print", "dmesg",
                ] + expressions, seconds: 200)
            try #require(result.status == 0, "\(result)")
            let document = try JSONSerialization.jsonObject(with: Data(result.out.utf8)) as? [String: Any]
            let values = try #require(document?["values"] as? [[String: Any]])
            let linux = try #require(document?["linux"] as? [String: Any])
            let tasks = try #require(linux["tasks"] as? [[String: Any]])
            let messages = try #require(linux["dmesg"] as? [[String: Any]])
            return Answer(
                values: values.map { String(($0["value"] as? String ?? "").prefix { $0 != " " }) },
                brctr: try #require((document?["brctr"] as? String).flatMap { UInt64($0) }),
                rip: try #require(document?["rip"] as? String),
                tasks: Set(tasks.map { "\($0["thread"] ?? "") \($0["address"] ?? "")" }),
                running: try #require(tasks.first { $0["isRunning"] as? Bool == true }?["thread"] as? Int),
                lastMessage: try #require(messages.last?["text"] as? String))
        }

        /// crash's answers to some commands.
        private func crash(_ vmlinux: String, _ core: String, _ commands: [String]) throws -> ToolResult {
            let lines = (commands + ["quit"]).joined(separator: "\\n")
            let program = try #require(KernelDebuggers.crash)
            return try run(
                "/bin/sh", ["-c", "printf '\(lines)\\n' | '\(program)' -s '\(vmlinux)' '\(core)'"], seconds: 200)
        }

        /// The values of the variables, by drgn.
        private func values(_ vmlinux: String, _ core: String, _ scratch: TemporaryDirectory) throws -> [String] {
            let script = scratch.file("variables.py")
            let lines =
                [
                    "import drgn", "from drgn.helpers.linux.percpu import per_cpu",
                    "current = per_cpu(prog['runqueues'], 0).curr",
                ]
                + Self.variables.map { "print(int(\($0.drgn)))" }
            try Files.replace(script, with: Array(lines.joined(separator: "\n").utf8))
            let result = try run(KernelDebuggers.drgn, ["-q", "-c", core, "-s", vmlinux, script], seconds: 200)
            #expect(result.status == 0, "\(result)")
            return result.out.split(separator: "\n").map(String.init)
        }

        /// The address in a program to which the kernel returned last before a position.
        private func lastReturn(before brctr: UInt64) throws -> UInt64 {
            let log = try LogFile(path: LinuxRecording.current)
            var cursor = log.branches(from: brctr - 1_000_000, to: brctr)
            var last: UInt64?
            while let branch = cursor.next() {
                if branch.from >> 63 == 1, branch.to >> 63 == 0 { last = branch.to }
            }
            return try #require(last)
        }

        @Test func crashAndDrgnSeeWhatTheToolsSee() throws {
            let vmlinux = try #require(try LinuxGuest.vmlinux())
            let scratch = try temporaryDirectory()
            // In a program, in the kernel at a function, and in the kernel's driver of the console.
            let work = try #require(try LinuxGuest.programAddresses(LinuxRecording.current).first)
            for place in ["*0x\(String(work, radix: 16))", "do_exit:40", "console:9"] {
                let core = scratch.file("core")
                let answer = try asked(place, vmlinux, core: core)
                #expect(answer.values.count == Self.variables.count && !answer.values.contains(""), "\(answer.values)")
                #expect(try values(vmlinux, core, scratch) == answer.values, "\(place)")

                let seen = try crash(vmlinux, core, ["ps", "bt \(answer.running)", "log"])
                let rows = seen.out.split(separator: "\n").map { $0.split { $0 == " " || $0 == ">" } }
                let tasks = rows.filter { $0.count >= 9 && Int($0[0]) != nil && $0[3].hasPrefix("ffff") }
                #expect(Set(tasks.map { "\($0[0]) 0x\($0[3])" }) == answer.tasks, "\(place)")
                #expect(answer.tasks.count > 40)
                // The innermost frame of the running task: crash unwinds the kernel's stack. In a program it shows where the
                // kernel was entered last, and where it returned to.
                var rip = try #require(UInt64(answer.rip.dropFirst(2), radix: 16))
                let isProgram = rip >> 63 == 0
                #expect(isProgram == (rip == work))
                if isProgram { rip = try lastReturn(before: answer.brctr) }
                let digits = String(rip, radix: 16)
                let line = "RIP: " + String(repeating: "0", count: 16 - digits.count) + digits
                #expect(seen.out.contains("PID: \(answer.running) ") && seen.out.contains(line), "\(place) \(seen)")
                #expect(seen.out.contains("Linux version 6.1.") && seen.out.contains(answer.lastMessage), "\(place)")
                unlink(core)
            }
        }
    }
}
