// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

@Suite("rows of branches and events: CSV and JSON lines")
struct RowTests {
    @Test("a header names the columns of branches, in any order")
    func branches() throws {
        let log = try ForeignInput(
            """
            to,comment,from,class,icount
            0x2000,first,0x1000,call,5
            0x1005,"a ""quoted"", text",8200,ret,9
            0x3000,,0x1010,jcc!,12

            """
        ).log()
        #expect(
            log.format == .csv && log.structuralDamage.isEmpty && log.header.features == [.branches, .labels, .icount])
        #expect(log.allBranches().map(\.label.name) == ["call!", "ret", "jcc!"])
        #expect(
            log.allBranches().map(\.from) == [0x1000, 8200, 0x1010] && log.allBranches().map(\.icount) == [5, 9, 12])
        let plain = try ForeignInput("from,to\n1,2\n").log()
        #expect(plain.header.features == [.branches] && plain.allBranches().map(\.label.name) == ["unknown"])
    }

    @Test("events take their content from the names of their kinds' fields")
    func namedFields() throws {
        let log = try ForeignInput(
            """
            {"kind":"interrupt","brctr":1,"icount":10,"ip":"0x1000","vector":32,"handler":"0x8000"}
            {"kind":"interrupt","brctr":1}
            {"kind":"port-read","brctr":2,"port":"0x3f8","size":1,"string":true,"value":["0x41"]}
            {"kind":"cpuid","brctr":"3","fields":{"leaf":7,"subleaf":"1","ebx":2,"eax":1,"edx":4,"ecx":3}}
            {"kind":"attribute","key":"guest.name","text":"a \\"b\\" \\u00e9\\n"}
            {"kind":"state","brctr":4,"registers":"0x1"}
            {"from":"0x1000","to":"0x2000","brctr":0,"label":"jmp","static":false,"unknown":{"a":[1,{"b":"}"}]}}
            {"kind":"trace-gap","brctr":4,"reason":"checkpoint"}

            """
        ).log()
        #expect(log.format == .jsonl && log.structuralDamage.isEmpty, "\(log.structuralDamage)")
        let events = log.allEvents()
        let details = events.map { $0.details { _ in "" } }
        #expect(
            details.prefix(4) == [
                "vector 32 -> 0x8000", "vector unknown", "port 0x3f8, 1 byte, string, value 0x41",
                "leaf 0x7, subleaf 0x1, eax 0x1, ebx 0x2, ecx 0x3, edx 0x4",
            ], "\(details)")
        #expect(details.last == "checkpoint" && events[0].ip == 0x1000)
        #expect(log.attributes["guest.name"] == "a \"b\" é\n")
        #expect(log.allBranches().map(\.label.name) == ["jmp"])
        #expect(log.header.features.isSuperset(of: [.branches, .labels, .causes, .accesses, .accessValues, .state]))
        #expect(!log.header.features.contains(.icount) && !log.header.features.contains(.mmio))
    }

    @Test("a row without a clock follows the branches before it")
    func order() throws {
        let log = try ForeignInput(
            """
            {"from":1,"to":2}
            {"kind":"rdtsc","value":7}
            {"vcpu":1,"from":3,"to":4}
            {"from":5,"to":6}
            {"kind":"rdtsc","value":8}

            """
        ).log()
        #expect(log.vcpus == [0, 1] && log.allEvents().map(\.clock) == [1, 2])
    }

    @Test("events that have only instruction counts are placed by them")
    func instructions() throws {
        let log = try ForeignInput("kind,icount,vector\ninterrupt,100,32\ninterrupt,250,33\n").log()
        #expect(log.header.clock == .instructions && log.allEvents().map(\.clock) == [100, 250])
        #expect(log.header.mode == .events)
    }

    @Test("a clock that jumps is a gap; one that goes back is damage")
    func clocks() throws {
        let log = try ForeignInput("brctr,from,to\n7,1,2\n8,1,2\n100,1,2\n50,1,2\n101,1,2\n").log()
        #expect(log.allBranches().map(\.clock) == [7, 8, 100, 101] && log.epochs() == [7, 100])
        #expect(log.header.clockBase == 7 && log.structuralDamage.map(\.offset) == [34])
        #expect(log.structuralDamage[0].description.contains("line 5: brctr 50: 101 or more expected"))
    }

    @Test("a row that cannot be read is damage with its line")
    func damaged() throws {
        let rows: [(String, String)] = [
            ("1,2,x", "label: unknown class"), ("1,2", "3 fields expected, 2 found"),
            ("-1,2,ret", "from: a number expected"),
            ("1,18446744073709551616,ret", "to: a number expected"), ("1,,ret", "both addresses"),
            ("\"1,2,ret", "does not end"),
        ]
        for (row, problem) in rows {
            let log = try ForeignInput("from,to,label\n1,2,ret\n\(row)\n3,4,ret\n").log()
            #expect(log.allBranches().map(\.from) == [1, 3] && log.structuralDamage.count == 1, "\(row)")
            #expect(log.structuralDamage.first?.description.contains("line 3: ") == true)
            #expect(log.structuralDamage.first?.description.contains(problem) == true, "\(log.structuralDamage)")
        }
        let objects: [(String, String)] = [
            ("{\"from\":1", "not well-formed"), ("[1]", "an object expected"), ("{\"kind\":\"x\"}", "unknown kind"),
            ("{\"vcpu\":256,\"from\":1,\"to\":2}", "vcpu 256"),
            ("{\"brctr\":\"18446744073709551615\",\"from\":1,\"to\":2}", "less than"),
            ("{\"a\":1}", "neither a branch"),
            ("{} x", "text after"),
            ("{\"schema\":\"bts-dump edges\"}", "rows of bts-dump edges"),
            ("{\"kind\":\"rdtsc\",\"payload\":\"1\"}", "two"),
            ("{\"kind\":\"interrupt\",\"info\":4294967296}", "info"),
        ]
        for (object, problem) in objects {
            let log = try ForeignInput("{\"from\":1,\"to\":2}\n\(object)\n{\"from\":3,\"to\":4}\n").log()
            #expect(log.allBranches().map(\.from) == [1, 3] && log.structuralDamage.count == 1, "\(object)")
            #expect(log.structuralDamage.first?.description.contains(problem) == true, "\(log.structuralDamage)")
        }
    }

    @Test("a quoted field may contain line feeds")
    func multilineFields() throws {
        let log = try ForeignInput("from,to,x\n1,2,\"a\nb\"\n3,4,\"\n\n\"\n5,6,\"open\n7,8,c\n").log()
        #expect(log.allBranches().map(\.from) == [1, 3, 7] && log.structuralDamage.map(\.offset) == [29])
    }

    @Test(
        "rows of other views are refused",
        arguments: ["count,from,to\n1,2,3\n", "{\"schema\":\"bts-dump edges\"}\n", "a,b\n"])
    func refused(text: String) throws {
        #expect(throws: LogError.self) { try ForeignInput(text).log() }
    }

    @Test("Spoilt files are read or refused", arguments: [true, false])
    func mutations(isJSON: Bool) throws {
        let json = """
            {"schema":"bts-dump","version":1,"log":"x"}
            {"vcpu":0,"brctr":"1","from":"0x1000","to":"0x2000","label":"call","static":true,"icount":"5"}
            {"vcpu":1,"brctr":"0","from":"0x1000","to":"0x2000","label":"ret","static":false,"icount":null}
            {"kind":"interrupt","brctr":1,"icount":10,"ip":"0x1000","fields":{"vector":"32","handler":"0x8000"}}
            {"kind":"attribute","payload":"61006200","info":0}
            {"kind":"state","brctr":"9","info":3,"values":["0x1","0x2"],"stream":"event","payload":""}

            """
        let csv = """
            vcpu,brctr,from,to,label,static,discontinuity,icount
            0,1,0x1000,0x2000,call,true,false,5
            1,0,0x1000,0x2000,ret,false,false,
            vcpu,stream,ordinal,brctr,icount,kind,info,ip,symbol,source,address,values,details,joined
            0,event,0,5,9,interrupt,32,0x1000,,,,0x8000,"vector, 32",false
            0,access,0,5,9,port-read,1,0x1000,,,0x3f8,0x41 0x42,x,false

            """
        var mutations = ForeignMutations(
            Array((isJSON ? json : csv).utf8), number: isJSON ? 2 : 3,
            pieces: ["\"", "{", "}", ",", "[", "\n", "\\u", "0x", "255", "18446744073709551615", "from,to\n"])
        let result = try mutations.run(1000)
        #expect(result.read > 0.3 && result.damaged > 0.2, "\(result)")
    }
}
