// SPDX-License-Identifier: GPL-2.0-or-later
//
// go-through RUN BRCTR
//
// Makes a recorded run again under QEMU, stops it after BRCTR transitions, keeps a checkpoint, goes back by one instruction and
// forwards again. Prints the position, two registers and the code there at each stop.
// Exit status: 0 done, 2 the run cannot be made again.

import Glibc
import LogFormat
import ReplaySession

func goThrough(_ directory: String, _ brctr: UInt64) throws {
    let run = try RepeatableRun(directory, comparedWith: directory)
    let places = try RunPlaces(
        log: LogFile(path: directory), inputLog: QEMUReplayLog(path: "\(run.recording)/replay.bin"))
    // QEMU starts, paused before the first instruction.
    let session = try TravelSession(run, places: places)
    let destination = try places.destination(brctr: brctr)
    try session.go(to: destination)
    try show(session)
    // From here on ways back begin at a checkpoint.
    try session.keepCheckpoints()
    try session.keepCheckpointHere()
    if try session.stepBack() { try show(session) }
    try session.go(to: destination)
    try show(session)
    // Without this, QEMU ends with the session.
    try session.quit()
}

func show(_ session: TravelSession) throws {
    let position = try session.position()
    let registers = try session.registers()
    print(
        "brctr \(position.brctr ?? 0), icount \(position.icount), rip \(hexadecimal(position.ip)),",
        "rax \(hexadecimal(registers["RAX"])), rsp \(hexadecimal(registers["RSP"]))")
    // Virtual and physical addresses; nil where there is no memory. There is no way to write.
    let address = position.ip ?? 0
    let code = try session.memory(at: address, count: 8) ?? []
    let physical = try session.side.physicalAddress(of: address)
    let same = physical.flatMap { session.physicalMemory(at: $0, count: 8) } ?? []
    print("code", code.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(), code == same ? "" : "(differs)")
}

func hexadecimal(_ value: UInt64?) -> String { "0x" + String(value ?? 0, radix: 16) }

do {
    guard CommandLine.arguments.count == 3, let brctr = UInt64(CommandLine.arguments[2]) else {
        throw PlaceError("expected a run directory and a number of transitions")
    }
    try goThrough(CommandLine.arguments[1], brctr)
} catch {
    print("go-through: \(error)")
    exit(2)
}
