// iasl version 20200925 (64-bit version)

[000h 0000   4]                    Signature : "APIC"    [Multiple APIC Description Table (MADT)]
[004h 0004   4]                 Table Length : 00000084
[008h 0008   1]                     Revision : 05
[009h 0009   1]                     Checksum : EE
[00Ah 0010   6]                       Oem ID : "BERTH "
[010h 0016   8]                 Oem Table ID : "Q35     "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BRTH"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   4]           Local Apic Address : FEE00000
[028h 0040   4]        Flags (decoded below) : 00000001
                         PC-AT Compatibility : 1

[02Ch 0044   1]                Subtable Type : 00 [Processor Local APIC]
[02Dh 0045   1]                       Length : 08
[02Eh 0046   1]                 Processor ID : 00
[02Fh 0047   1]                Local Apic ID : 00
[030h 0048   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
                      Runtime Online Capable : 0

[034h 0052   1]                Subtable Type : 00 [Processor Local APIC]
[035h 0053   1]                       Length : 08
[036h 0054   1]                 Processor ID : 01
[037h 0055   1]                Local Apic ID : FE
[038h 0056   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
                      Runtime Online Capable : 0

[03Ch 0060   1]                Subtable Type : 09 [Processor Local x2APIC]
[03Dh 0061   1]                       Length : 10
[03Eh 0062   2]                     Reserved : 0000
[040h 0064   4]          Processor x2Apic ID : 000000FF
[044h 0068   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
[048h 0072   4]                Processor UID : 00000002

[04Ch 0076   1]                Subtable Type : 09 [Processor Local x2APIC]
[04Dh 0077   1]                       Length : 10
[04Eh 0078   2]                     Reserved : 0000
[050h 0080   4]          Processor x2Apic ID : 00001000
[054h 0084   4]        Flags (decoded below) : 00000002
                           Processor Enabled : 0
[058h 0088   4]                Processor UID : 00000003

[05Ch 0092   1]                Subtable Type : 01 [I/O APIC]
[05Dh 0093   1]                       Length : 0C
[05Eh 0094   1]                  I/O Apic ID : 00
[05Fh 0095   1]                     Reserved : 00
[060h 0096   4]                      Address : FEC00000
[064h 0100   4]                    Interrupt : 00000000

[068h 0104   1]                Subtable Type : 02 [Interrupt Source Override]
[069h 0105   1]                       Length : 0A
[06Ah 0106   1]                          Bus : 00
[06Bh 0107   1]                       Source : 09
[06Ch 0108   4]                    Interrupt : 00000009
[070h 0112   2]        Flags (decoded below) : 000D
                                    Polarity : 1
                                Trigger Mode : 3

[072h 0114   1]                Subtable Type : 04 [Local APIC NMI]
[073h 0115   1]                       Length : 06
[074h 0116   1]                 Processor ID : FF
[075h 0117   2]        Flags (decoded below) : 0000
                                    Polarity : 0
                                Trigger Mode : 0
[077h 0119   1]         Interrupt Input LINT : 01

[078h 0120   1]                Subtable Type : 0A [Local x2APIC NMI]
[079h 0121   1]                       Length : 0C
[07Ah 0122   2]        Flags (decoded below) : 0000
                                    Polarity : 0
                                Trigger Mode : 0
[07Ch 0124   4]                Processor UID : FFFFFFFF
[080h 0128   1]         Interrupt Input LINT : 01
[081h 0129   3]                     Reserved : 000000

Raw Table Data: Length 132 (0x84)

    0000: 41 50 49 43 84 00 00 00 05 EE 42 45 52 54 48 20  // APIC......BERTH 
    0010: 51 33 35 20 20 20 20 20 01 00 00 00 42 52 54 48  // Q35     ....BRTH
    0020: 01 00 00 00 00 00 E0 FE 01 00 00 00 00 08 00 00  // ................
    0030: 01 00 00 00 00 08 01 FE 01 00 00 00 09 10 00 00  // ................
    0040: FF 00 00 00 01 00 00 00 02 00 00 00 09 10 00 00  // ................
    0050: 00 10 00 00 02 00 00 00 03 00 00 00 01 0C 00 00  // ................
    0060: 00 00 C0 FE 00 00 00 00 02 0A 00 09 09 00 00 00  // ................
    0070: 0D 00 04 06 FF 00 00 01 0A 0C 00 00 FF FF FF FF  // ................
    0080: 01 00 00 00                                      // ....
