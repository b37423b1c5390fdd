// SPDX-License-Identifier: GPL-2.0-or-later
//
// go-through RUN BRCTR
//
// Makes a recorded run again under QEMU, stops it after BRCTR transitions, goes back by one instruction and forwards again.
// Prints the position and two registers at each stop.
// Exit status: 0 done, 2 the run cannot be made again.

import Glibc
import LogFormat
import ReplaySession

func goThrough(_ directory: String, _ brctr: UInt64) throws {
    let run = try RepeatableRun(directory, comparedWith: directory)
    let places = try RunPlaces(
        log: LogFile(path: directory), inputLog: QEMUReplayLog(path: "\(run.recording)/replay.bin"))
    let session = try TravelSession(run, places: places)
    let destination = try places.destination(brctr: brctr)
    try session.go(to: destination)
    try show(session)
    if try session.stepBack() { try show(session) }
    try session.go(to: destination)
    try show(session)
    // QEMU ends with the session.
}

func show(_ session: TravelSession) throws {
    let position = try session.position()
    let registers = try session.registers()
    func hexadecimal(_ value: UInt64?) -> String { "0x" + String(value ?? 0, radix: 16) }
    print(
        "brctr \(position.brctr ?? 0), icount \(position.icount), rip \(hexadecimal(position.ip)),",
        "rax \(hexadecimal(registers["RAX"])), rsp \(hexadecimal(registers["RSP"]))")
}

do {
    guard CommandLine.arguments.count == 3, let brctr = UInt64(CommandLine.arguments[2]) else {
        throw PlaceError("expected a run directory and a number of transitions")
    }
    try goThrough(CommandLine.arguments[1], brctr)
} catch {
    print("go-through: \(error)")
    exit(2)
}
