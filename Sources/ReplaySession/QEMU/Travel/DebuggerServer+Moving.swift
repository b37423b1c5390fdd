// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The debugger moves the guest, forwards and backwards.
extension DebuggerServer {
    /// Moves the guest. A move that fails is reported on gdb's console, and the guest stays where it got to.
    func move(_ body: (_ codeAtStepBack: Set<UInt64>?) throws -> [UInt8]) throws -> [UInt8] {
        if hasMoved {
            hasMoved = false
            return try stopReply()
        }
        // SIGINT ends gdb's stepping over a line; at SIGTRAP it would go on.
        if wantsInterrupt() { return try stopReply(signal: "02") }
        let code = codeAtStepBack
        codeAtStepBack = nil
        do {
            return try body(code)
        } catch is Interruption {
            return try stopReply(signal: "02")
        } catch let error as PlaceError {
            try debugger?.send(Array("O".utf8) + DebuggerServer.hexadecimal("tt-gdb: \(error)\n"))
            try lookAgain()
            return try stopReply()
        }
    }

    func stepForward() throws -> [UInt8] {
        guard session.current.icount < session.end else { return try stopReply("replaylog:end;") }
        let start = try session.placeInProgram()
        for _ in 0..<TravelSession.mostDeliveries {
            try session.client.drain()
            try session.client.step()
            try session.look()
            guard let start, try !TravelSession.isUser(session.linearIP()) else { break }
            // The kernel was entered: on to where the program continues, unless a breakpoint in the kernel comes first.
            guard let next = try session.continuation() else { break }
            if try isKernelBreakpoint(before: next) { return try continueForward() }
            try withoutBreakpoints { try session.go(to: next) }
            guard let now = try session.placeInProgram(), now == start else { return try stopReply() }
        }
        return try session.client.lastStop ?? stopReply()
    }

    /// Whether a breakpoint in the kernel comes before a later position.
    private func isKernelBreakpoint(before next: Destination) throws -> Bool {
        let addresses = codeBreakpoints.filter { !TravelSession.isUser($0) }
        guard !addresses.isEmpty, let end = next.position.brctr, let start = try session.position().brctr else {
            return false
        }
        return try session.lastStretch(
            with: Array(addresses), before: end, ip: next.position.ip ?? 0, after: start) != nil
    }

    /// Continues to a breakpoint. Those of other processes than the one that is followed count for nothing.
    func continueForward() throws -> [UInt8] {
        while true {
            let reply = try continueToStop()
            guard let process = session.process, try codeBreakpoints.contains(session.linearIP()),
                try session.addressSpace() != process, let here = try session.position().brctr
            else { return reply }
            let next = try session.addressSpaces().nextStart(of: process, from: here)
            let clock = next.map { $0 &+ 1 } ?? session.places.end.brctr
            try withoutBreakpoints {
                guard clock < session.places.end.brctr else {
                    return try session.go(to: EnginePlace(icount: session.end))
                }
                try session.go(to: session.places.destination(brctr: clock))
            }
            if clock >= session.places.end.brctr { return try stopReply("replaylog:end;") }
        }
    }

    private func continueToStop() throws -> [UInt8] {
        let end = session.end
        guard session.current.icount < end else { return try stopReply("replaylog:end;") }
        try session.side.setBreak(at: end)
        try session.client.resume(Array("c".utf8))
        var reply = try session.client.stop(within: 0.01)
        while reply == nil {
            try onWait()
            if try isInterrupted() { try session.client.stream.sendInterrupt() }
            reply = try session.client.stop(within: 0.01)
        }
        if let reply, reply.first == UInt8(ascii: "W") || reply.first == UInt8(ascii: "X") { return reply }
        try? session.side.removeBreak()
        try session.look()
        if session.current.icount >= end { return try stopReply("replaylog:end;") }
        return try reply ?? stopReply()
    }

    private var codeBreakpoints: Set<UInt64> { Set(state.breakpoints.filter(\.isCode).map(\.address)) }

    func stepBack() throws -> [UInt8] {
        defer { codeAtStepBack = codeBreakpoints }
        return try withoutBreakpoints { try session.stepBackInProcess() ? stopReply() : stopReply("replaylog:begin;") }
    }

    /// - Parameter before: the addresses of breakpoints at the step back before: a new one is the entry of the function into
    ///   which gdb stepped back.
    func continueBack(codeAtStepBack before: Set<UInt64>?) throws -> [UInt8] {
        let addresses = codeBreakpoints
        let watches = state.breakpoints.filter { !$0.isCode }.map(\.packet)
        let new = before.map { addresses.subtracting($0) } ?? []
        return try withoutBreakpoints {
            if watches.isEmpty {
                if new.count == 1, let entry = new.first,
                    try session.goBackToEntry(at: entry, unless: addresses.subtracting(new))
                {
                    return try stopReply()
                }
                return try session.runBack(to: addresses) ? stopReply() : stopReply("replaylog:begin;")
            }
            switch try session.runBack(to: addresses, watching: watches) {
            case .begin: return try stopReply("replaylog:begin;")
            case .breakpoint: return try stopReply()
            case .watch(let reason): return try stopReply("\(reason);")
            }
        }
    }

    /// gdb's Ctrl-C while the guest runs to a place.
    struct Interruption: Error {}

    /// Whether gdb has sent a Ctrl-C. While the guest runs, it sends nothing else.
    private func isInterrupted() throws -> Bool {
        if wantsInterrupt() { return true }
        guard let debugger else { return false }
        return try debugger.next(timeout: 0) == .interrupt
    }

    func checkForInterrupt() throws {
        try onWait()
        guard try isInterrupted() else { return }
        try session.pause()
        throw Interruption()
    }
}
