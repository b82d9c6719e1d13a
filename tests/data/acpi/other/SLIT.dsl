// iasl version 20200925 (64-bit version)

[000h 0000   4]                    Signature : "SLIT"    [System Locality Information Table]
[004h 0004   4]                 Table Length : 00000030
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : 32
[00Ah 0010   6]                       Oem ID : "BERTH "
[010h 0016   8]                 Oem Table ID : "Q35     "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BRTH"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   8]                   Localities : 0000000000000002
[02Ch 0044   2]                 Locality   0 : 0A 15
[02Eh 0046   2]                 Locality   1 : 16 0A

Raw Table Data: Length 48 (0x30)

    0000: 53 4C 49 54 30 00 00 00 01 32 42 45 52 54 48 20  // SLIT0....2BERTH 
    0010: 51 33 35 20 20 20 20 20 01 00 00 00 42 52 54 48  // Q35     ....BRTH
    0020: 01 00 00 00 02 00 00 00 00 00 00 00 0A 15 16 0A  // ................
