//! Drawings for the table.

pub(super) const PLATE: &str = r##"<circle cx="204" cy="208" r="122" fill="$ink" opacity=".13"/>
<surface d="M200 80a120 120 0 1 1 0 240a120 120 0 1 1 0-240z"/><circle cx="200" cy="200" r="120" fill="none" stroke="$dark" stroke-width="4" opacity=".5"/>
<circle cx="200" cy="200" r="80" fill="$pale"/><circle cx="200" cy="200" r="80" fill="none" stroke="$dark" stroke-width="3" opacity=".35"/><path d="M146 176a60 60 0 0 1 40-34" fill="none" stroke="#fff" stroke-width="8" stroke-linecap="round" opacity=".7"/>
<g fill="$metald"><path d="M34 118h5v42h4v-42h5v42h4v-42h5v52q0 12-8 15l2 91q0 6-6 6t-6-6l2-91q-7-3-7-15z"/><path d="M352 118q18 22 16 92h-8l3 68q0 6-6 6t-5-6z"/></g>"##;

pub(super) const BOWL: &str = r##"<path d="M156 296h88l8 14h-104z" fill="$darker"/><surface d="M78 196h244q-4 106-88 106h-68q-84 0-88-106z"/>
<ellipse cx="200" cy="196" rx="122" ry="26" fill="$light"/><ellipse cx="200" cy="198" rx="110" ry="20" fill="$dark"/>
<path d="M104 200q20-34 48-24 12-26 44-18 30-16 48 10 34-6 52 32-96 26-192 0z" fill="#ecc987"/><g fill="none" stroke="#d3a75c" stroke-width="4"><path d="M128 196q20-24 50-10t54 6 44 6"/><path d="M150 182q24-14 44 0M214 178q22-12 42 8"/></g><g fill="$leaf"><path d="M190 164q14-24 30-12-8 18-30 12z"/><path d="M190 166q-20-16-30 2 14 12 30-2z"/></g><circle cx="236" cy="182" r="9" fill="#c9584a"/><circle cx="150" cy="188" r="8" fill="#c9584a"/>"##;

pub(super) const TUMBLER: &str = r##"<g opacity=".5"><path d="M120 150h72l-7 130h-58zM212 150h72l-7 130h-58z" fill="$base"/></g><g fill="none" stroke="$dark" stroke-width="3" opacity=".55"><ellipse cx="156" cy="150" rx="36" ry="8"/><ellipse cx="248" cy="150" rx="36" ry="8"/></g>
<g opacity=".72"><path d="M70 176h84l-8 134H78zM168 176h84l-8 134h-68zM262 176h76l-8 134h-60z" fill="$light"/></g>
<g fill="$base" opacity=".85"><path d="M73 226h78l-5 84H78zM171 246h78l-5 64h-68zM265 232h70l-5 78h-60z"/></g>
<g fill="$pale" opacity=".9"><ellipse cx="112" cy="226" rx="39" ry="7"/><ellipse cx="210" cy="246" rx="39" ry="7"/><ellipse cx="300" cy="232" rx="35" ry="6"/></g>
<g fill="none" stroke="$dark" stroke-width="4"><ellipse cx="112" cy="176" rx="42" ry="9"/><ellipse cx="210" cy="176" rx="42" ry="9"/><ellipse cx="300" cy="176" rx="38" ry="8"/></g>
<g stroke="#fff" stroke-width="7" stroke-linecap="round" opacity=".65"><path d="M88 200l6 92M186 200l6 92M278 200l6 92"/></g>"##;

pub(super) const CARAFE: &str = r##"<path d="M198 240q8-90-8-180" fill="none" stroke="#7d5b43" stroke-width="6" stroke-linecap="round"/><path d="M194 104q24-12 34-40M190 76q-22-8-30-32" fill="none" stroke="#7d5b43" stroke-width="4" stroke-linecap="round"/>
<g fill="#f1bcc2"><circle cx="228" cy="62" r="12"/><circle cx="212" cy="86" r="10"/><circle cx="160" cy="44" r="11"/><circle cx="178" cy="66" r="9"/><circle cx="190" cy="54" r="12"/><circle cx="202" cy="112" r="8"/></g><g fill="#fff"><circle cx="228" cy="62" r="4"/><circle cx="160" cy="44" r="4"/><circle cx="190" cy="54" r="4"/><circle cx="212" cy="86" r="3"/></g>
<path d="M172 118h56l-4 58q54 34 54 92 0 42-42 42h-72q-42 0-42-42 0-58 54-92z" fill="$light" opacity=".62"/><path d="M126 246h148q4 12 4 22 0 42-42 42h-72q-42 0-42-42 0-10 4-22z" fill="$base" opacity=".78"/><ellipse cx="200" cy="246" rx="74" ry="9" fill="$pale" opacity=".85"/>
<path d="M172 118h56l-4 58q54 34 54 92 0 42-42 42h-72q-42 0-42-42 0-58 54-92z" fill="none" stroke="$dark" stroke-width="4"/><ellipse cx="200" cy="118" rx="28" ry="6" fill="none" stroke="$dark" stroke-width="4"/><path d="M146 226q-12 28-6 54" stroke="#fff" stroke-width="8" fill="none" stroke-linecap="round" opacity=".65"/>"##;

pub(super) const NAPKINS: &str = r##"<rect x="82" y="278" width="236" height="32" rx="14" fill="$darker"/><rect x="86" y="250" width="230" height="32" rx="14" fill="$dark"/><rect x="82" y="222" width="236" height="32" rx="14" fill="$light"/>
<surface d="M88 198q0-8 8-8h210q10 0 10 10v18q0 10-10 10H100q-12 0-12-10z"/><path d="M88 190l46-44h178l4 48z" fill="$base"/><path d="M88 190l46-44h178l4 48z" fill="url(#motif)"/><path d="M88 190l46-44h178l4 48z" fill="#fff" opacity=".18"/>
<path d="M184 146h34l-6 44v120h-30V190z" fill="$cream"/><path d="M200 206q-24-26-40-10 12 24 40 10zM200 206q24-26 40-10-12 24-40 10z" fill="$accent"/><path d="M200 206q-16 24-14 40M200 206q16 24 14 40" stroke="$accent" stroke-width="8" fill="none" stroke-linecap="round"/><circle cx="200" cy="206" r="7" fill="$cream"/>"##;

pub(super) const CUTLERY: &str = r##"<g fill="$ink" opacity=".12"><rect x="100" y="212" width="40" height="128" rx="18"/><rect x="190" y="212" width="42" height="128" rx="18"/><rect x="264" y="212" width="42" height="128" rx="18"/></g>
<g fill="$metal"><path d="M92 66h9v62h8V66h9v62h8V66h9v76q0 20-16 24v44h-12v-44q-15-4-15-24z"/><path d="M196 210V64q30 26 28 100-1 16-12 18v28z"/><path d="M274 210v-52q-18-12-18-44 0-50 24-50t24 50q0 32-18 44v52z"/></g><g fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".7"><path d="M270 92q-4 20 0 36M203 92v84"/></g>
<surface d="M104 206h20q6 0 6 6l4 104q0 18-20 18t-20-18l4-104q0-6 6-6z"/><surface d="M190 206h28q6 0 6 6l2 104q0 18-22 18t-22-18l2-104q0-6 6-6z"/><surface d="M268 206h24q6 0 6 6l4 104q0 18-22 18t-22-18l4-104q0-6 6-6z"/>
<g fill="$brass"><rect x="98" y="204" width="32" height="9" rx="3"/><rect x="184" y="204" width="40" height="9" rx="3"/><rect x="262" y="204" width="36" height="9" rx="3"/></g><g fill="$cream"><circle cx="114" cy="312" r="4"/><circle cx="204" cy="312" r="4"/><circle cx="280" cy="312" r="4"/></g>"##;
