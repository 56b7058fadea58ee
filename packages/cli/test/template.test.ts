import { test } from 'tap';
import { render } from '../src/template/render.ts';

const data = {
  Router: {
    Name: 'n"1',
    Targets: ['a', 'b'],
    Empty: [],
    Peers: [
      { Name: 'x', Up: true },
      { Name: 'y', Up: false },
    ],
  },
  Count: 3,
  Share: 2.5,
  None: null,
  Map: { b: 2, a: 1 },
};

test('what the tests and documents of 2.8 use', async (t) => {
  const cases: [string, string][] = [
    ['{{.Router.Name}}', 'n"1'],
    ['plain', 'plain'],
    ['', ''],
    ['{{ .Count }}', '3'],
    ['{{len .Router.Targets}} {{len "été"}} {{len .Map}}', '2 5 2'],
    ['{{range .Router.Targets}}{{.}}{{"\\n"}}{{end}}', 'a\nb\n'],
    ['{{range .Router.Targets}}{{.}}\n{{end}}', 'a\nb\n'],
    ['{{json .Router.Targets}}', '["a","b"]'],
    ['{{.Router.Name | json}}', '"n\\"1"'],
    ['{{range .Router.Empty}}x{{else}}none{{end}}', 'none'],
    ['{{range $i, $p := .Router.Peers}}{{$i}}{{$p.Name}}{{if .Up}}+{{else}}-{{end}}{{end}}', '0x+1y-'],
    ['{{range $p := .Router.Peers}}{{$p.Name}}{{end}}', 'xy'],
    ['{{range $k, $v := .Map}}{{$k}}={{$v}};{{end}}', 'a=1;b=2;'],
    ['{{if eq .Count 1}}one{{else if eq .Count 2 3}}some{{else}}many{{end}}', 'some'],
    ['{{with .None}}x{{else}}nothing{{end}}{{with .Map}}{{.a}}{{$.Count}}{{end}}', 'nothing13'],
    ['{{with $m := .Map}}{{$m.b}}{{end}}{{if $m := .Count}}{{$m}}{{end}}', '23'],
    ['{{$x := .Count}}{{$x}}{{$x := 4}}{{$x}}', '34'],
    [
      '{{index .Router.Targets 1}} {{(index .Router.Peers 0).Name}} {{index .Map "a"}} {{index .Map "z"}}',
      'b x 1 <nil>',
    ],
    [
      '{{printf "%-4s|%4d|%04.1f|%q|%v|%t|%x|%5s|%.1s%%" "ab" 7 .Share "q" .Map true 255 "r" "long"}}',
      'ab  |   7|02.5|"q"|map[a:1 b:2]|true|ff|    r|l%',
    ],
    ['{{print .Count " " .Router.Targets}}{{println 1 2}}', '3 [a b]1 2\n'],
    ['{{.None}} {{.Router.Peers}}', '<nil> [map[Name:x Up:true] map[Name:y Up:false]]'],
    ['{{and .Count .Router.Empty}} {{or .Router.Empty .Count}} {{not .Count}} {{or "" 0}}', '[] 3 false 0'],
    ['{{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "a" "b"}} {{ge 1 2}} {{eq 1 1}}', 'true true true false false true'],
    ['{{.Router.Targets | len | printf "%d!"}} {{len (index .Router.Peers 0)}}', '2! 2'],
    ['a  {{- /* a\n comment */ -}}  b {{- 1 -}}\n c {{/* x */}}d', 'ab1c d'],
    ['{{`raw \\n`}} {{"q\\"}}"}} {{true}} {{nil}} {{-3}}', 'raw \\n q"}} true <nil> -3'],
    ['{{range .Router.Peers}}{{range $.Router.Targets}}{{.}}{{end}}{{.Name}}{{end}}', 'abxaby'],
  ];
  for (const [template, wanted] of cases) t.equal(render(template, data), wanted, template);
});

test('mistakes say what they are', async (t) => {
  const cases: [string, RegExp][] = [
    ['{{.Nope}}', /no field Nope/],
    ['{{.Router.Name.First}}', /no field First/],
    ['{{.constructor}}', /no field constructor/],
    ['{{.None.Name}}', /no field Name/],
    ['{{', /has no end/],
    ['{{.Name', /has no end/],
    ['{{"abc}}', /it has/],
    ['{{if .Count}}', /\{\{if\}\} has no \{\{end\}\}/],
    ['{{range .Router.Targets}}a{{else}}b', /no \{\{end\}\}/],
    ['{{if .Count}}a{{else}}b{{else}}c{{end}}', /no \{\{end\}\}/],
    ['{{end}}', /belongs to/],
    ['{{else}}', /belongs to/],
    ['{{}}', /a value is missing/],
    ['{{.Count |}}', /a value is missing/],
    ['{{(len .Map}}', /a \) is missing/],
    ['{{len .Map)}}', /nothing that \) can mean/],
    ['{{, 1}}', /nothing that , can mean/],
    ['{{$nope}}', /no variable \$nope/],
    ['{{nope 1}}', /no function nope/],
    ['{{constructor 1}}', /no function constructor/],
    ['{{len}}', /len is given nothing/],
    ['{{len 3}}', /len has no meaning/],
    ['{{.Count 1}}', /is given others/],
    ['{{range .Count}}{{end}}', /range over/],
    ['{{index .Router.Targets 2}}', /no index 2/],
    ['{{index .Router.Targets -1}}', /no index -1/],
    ['{{lt 1 "a"}}', /cannot be compared/],
    ['{{printf "%d" "a"}}', /cannot write a as %d/],
    ['{{printf "%z" 1}}', /cannot write 1 as %z/],
    ['{{printf "%s"}}', /no value for %s/],
    ['{{printf "a" 1}}', /more values/],
    ['{{printf 1}}', /wants a pattern/],
    ['{{printf "%999999999d" 1}}', /too much/],
    ['{{"\\x"}}', /is no string/],
  ];
  for (const [template, message] of cases)
    t.throws(() => render(template, data), { code: 'WEAVE_INVALID_REQUEST', message }, template);
});

test('what would take all time or memory', async (t) => {
  const nested = (before: string, after: string, depth: number) => `${before.repeat(depth)}${after.repeat(depth)}`;
  const cases: [string, RegExp][] = [
    [`{{${'('.repeat(50_000)}1${')'.repeat(50_000)}}}`, /nested too deeply/],
    [nested('{{if 1}}', '{{end}}', 50_000), /nested too deeply/],
    [nested('{{range $.Map}}', '{{end}}', 64), /too much/],
    [nested('{{range $.Map}}xxxxxxxx', '{{end}}', 64), /too much/],
    [`{{$x := "twice"}}${'{{$x := print $x $x}}'.repeat(64)}`, /too much/],
    [`{{$x := "ten"}}${'{{$x := printf "%s%s" $x $x}}'.repeat(64)}`, /too much/],
    [nested('{{range $.Map}}{{if eq (json $) ""}}{{end}}', '{{end}}', 64), /too much/],
  ];
  for (const [template, message] of cases)
    t.throws(() => render(template, data), { code: 'WEAVE_INVALID_REQUEST', message }, template.slice(0, 80));
  const many = { Names: Array.from({ length: 50_000 }, (_, n) => ({ Name: `n${n}`, Address: '10.32.0.1' })) };
  const lines = render('{{range .Names}}{{.Name}} {{.Address}}{{"\\n"}}{{end}}', many);
  t.equal(lines.split('\n').length, 50_001, 'a large report is none of these');
});
