// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Goes through a run without a plan, from a seed: forwards and back, by single steps and to breakpoints, and looks at everything.
struct Wanderer {
    let session: TravelSession
    let scratch: TemporaryDirectory
    private var random: RandomNumbers
    /// Addresses to which some transitions of the log lead.
    private let targets: [UInt64]
    /// How often each thing was done.
    private(set) var done: [String: Int] = [:]

    init(_ session: TravelSession, seed: UInt64, _ scratch: TemporaryDirectory) throws {
        (self.session, self.scratch) = (session, scratch)
        random = RandomNumbers(seed: seed)
        var targets: [UInt64] = []
        for _ in 0..<20 {
            let brctr = random.below(session.places.end.brctr - 10)
            var cursor = session.places.log.branches(from: brctr, to: brctr + 1)
            if let branch = cursor.next() { targets.append(branch.to) }
        }
        self.targets = targets
    }

    private mutating func below(_ count: Int) -> Int { Int(random.below(UInt64(count))) }

    /// A transition; half of them are near.
    private mutating func place() throws -> UInt64 {
        let last = session.places.end.brctr - 1000
        guard below(2) == 0, let here = try session.position().brctr else { return random.below(last) }
        return min(last, (here > 2000 ? here - 2000 : 0) + random.below(4000))
    }

    /// Does one thing, and leaves the guest wherever that leads.
    mutating func act() throws {
        // Steps need room before the end.
        if session.current.icount + 1000 > session.end { return try go() }
        switch below(9) {
        case 0, 1: try go()
        case 2: try stepBack()
        case 3: try step()
        case 4: try runBack()
        case 5: try dump()
        case 6: try look()
        case 7: try checkpoint()
        default: try debug()
        }
    }

    private mutating func count(_ name: String) { done[name, default: 0] += 1 }

    private mutating func go() throws {
        count("seek")
        try session.go(to: session.places.destination(brctr: try place()))
    }

    private mutating func stepBack() throws {
        for _ in 0...below(4) {
            count("step back")
            _ = try session.stepBack()
        }
    }

    private mutating func step() throws {
        try session.client.drain()
        for _ in 0...below(40) {
            count("step")
            try session.client.step()
        }
        try session.look()
    }

    private mutating func runBack() throws {
        count("run back to an address")
        _ = try session.runBack(to: [targets[below(targets.count)], targets[below(targets.count)]])
    }

    private mutating func dump() throws {
        count("core")
        let file = scratch.file("core")
        try session.writeCore(to: file, bytes: session.side.memory.size)
        #expect(Files.size(file) >= UInt64(session.side.memory.size))
        unlink(file)
    }

    private mutating func look() throws {
        count("look")
        let registers = try session.registers()
        _ = try session.memory(at: registers["RSP"] ?? 0, count: 512)
        _ = session.physicalMemory(at: UInt64(below(1 << 20)), count: 4096)
        for line in ["info mtree", "info qtree", "info pic", "info lapic", "info mem", "x /20i $pc", "info snapshots"] {
            _ = try session.side.monitor(line)
        }
    }

    private mutating func checkpoint() throws {
        count("checkpoint")
        try session.keepCheckpointHere()
    }

    /// gdb: breakpoints both ways, values, memory.
    private mutating func debug() throws {
        count("gdb")
        let server = try DebuggerServer(session, socket: "\(session.privateDirectory)/wander")
        let commands = [
            "set pagination off", "target extended-remote \(server.socket)", "info registers", "x/16xb $rsp",
            "x/6i $pc",
            "break *\(targets[below(targets.count)])", "continue", "print/x $rip", "set var $rax = 1",
            "set var *(char *)$rsp = 1",
            "reverse-stepi", "stepi", "stepi", "reverse-continue", "delete", "hbreak *\(targets[below(targets.count)])",
            "reverse-continue", "watch *(long *)$rsp", "stepi", "delete",
            "dump memory \(scratch.file("stack")) $rsp $rsp+64",
            "monitor info registers", "disconnect",
        ]
        let gdb = try RunningTool("/usr/bin/gdb", ["-nx", "-batch"] + commands.flatMap { ["-ex", $0] })
        server.onWait = { if !gdb.isRunning { throw RunError.engine(problem: "gdb has ended", output: "") } }
        try server.serve()
        let result = try gdb.wait(seconds: 20)
        #expect(result.out.contains("rip            0x"), "\(result)")
        unlink(scratch.file("stack"))
    }
}
