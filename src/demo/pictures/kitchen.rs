//! Drawings for the kitchen.

pub(super) const MUG: &str = r##"<g fill="none" stroke="$cream" stroke-width="7" stroke-linecap="round" opacity=".8"><path d="M165 138q-14-16 0-32t0-32"/><path d="M205 138q-14-16 0-32t0-32"/></g>
<path d="M256 196h22q36 0 36 36t-36 36h-26" fill="none" stroke="$dark" stroke-width="20"/>
<surface d="M115 168h150v114q0 28-28 28h-94q-28 0-28-28z"/>
<ellipse cx="190" cy="168" rx="75" ry="14" fill="$light"/><ellipse cx="190" cy="169" rx="65" ry="10" fill="$darker"/><ellipse cx="190" cy="171" rx="58" ry="7" fill="#8a5a34"/>"##;

pub(super) const ESPRESSO_CUP: &str = r##"<path d="M200 168q-12-14 0-28t0-28" fill="none" stroke="$cream" stroke-width="6" stroke-linecap="round" opacity=".8"/>
<ellipse cx="200" cy="306" rx="118" ry="15" fill="$darker"/><ellipse cx="200" cy="299" rx="118" ry="15" fill="$light"/><ellipse cx="200" cy="299" rx="72" ry="8" fill="$dark"/>
<path d="M254 222h14q25 0 25 24t-25 24h-22" fill="none" stroke="$dark" stroke-width="14"/>
<surface d="M138 202h124v40q0 56-44 56h-36q-44 0-44-56z"/>
<ellipse cx="200" cy="202" rx="62" ry="12" fill="$light"/><ellipse cx="200" cy="203" rx="53" ry="8" fill="#5d3a22"/><ellipse cx="196" cy="203" rx="32" ry="4" fill="#b98550"/>
<path d="M92 292l-34-8" stroke="$metald" stroke-width="6" stroke-linecap="round"/><ellipse cx="104" cy="296" rx="17" ry="6" fill="$metal"/>"##;

pub(super) const TEAPOT: &str = r##"<path d="M284 204q62-10 58 44-4 42-70 40" fill="none" stroke="$dark" stroke-width="17" stroke-linecap="round"/>
<path d="M126 272q-48-14-60-74l-18-12q0-10 14-10 28 4 40 30 8 20 28 20z" fill="$dark"/>
<surface d="M104 244q0-66 96-66t96 66q0 66-62 66h-68q-62 0-62-66z"/>
<path d="M146 185q54-36 108 0-54 14-108 0z" fill="$light"/><circle cx="200" cy="158" r="12" fill="$dark"/><path d="M146 185q54 14 108 0" fill="none" stroke="$darker" stroke-width="3" opacity=".5"/>"##;

pub(super) const JUG: &str = r##"<path d="M250 166q74-14 70 52-4 48-56 54" fill="none" stroke="$dark" stroke-width="17" stroke-linecap="round"/>
<surface d="M116 126q24 16 44 17h96q-6 38 4 62 24 34 16 74-8 31-42 31h-70q-38 0-44-34-6-38 22-70 8-34-26-80z"/>
<path d="M116 126q80-10 140 17h-96q-20-1-44-17z" fill="$darker"/><path d="M134 128q66-4 106 13h-80q-12-1-26-13z" fill="$cream"/>"##;

pub(super) const CAFETIERE: &str = r##"<path d="M252 176h34q18 0 18 18v62q0 18-18 18h-34" fill="none" stroke="$darker" stroke-width="14"/>
<path d="M200 62v80" stroke="$metald" stroke-width="6"/><circle cx="200" cy="60" r="13" fill="$base"/>
<path d="M138 148h118v150h-118z" fill="$cream" opacity=".75"/><path d="M138 206h118v92h-118z" fill="#5b3b26"/><path d="M138 206h118v12h-118z" fill="#8d6240"/><path d="M138 190h118v9h-118z" fill="$metald"/><path d="M200 142v50" stroke="$metald" stroke-width="5"/>
<path d="M152 160v120" stroke="#fff" stroke-width="7" opacity=".45" stroke-linecap="round"/>
<path d="M130 148q6-32 67-32t67 32z" fill="$base"/><path d="M130 148q6-32 67-32t67 32z" fill="url(#shade)"/><path d="M130 158l-22-10v-6h30z" fill="$base"/>
<path d="M130 232h134v14H130zM130 290h134v20H130z" fill="$base"/><path d="M146 158v134M248 158v134" stroke="$base" stroke-width="7"/><path d="M130 290h134v20H130z" fill="url(#shade)"/>"##;

pub(super) const STORAGE_JAR: &str = r##"<rect x="138" y="118" width="124" height="46" rx="10" fill="$wood"/><g fill="$woodd" opacity=".55"><circle cx="160" cy="136" r="3"/><circle cx="186" cy="148" r="3"/><circle cx="214" cy="134" r="3"/><circle cx="240" cy="146" r="3"/><circle cx="200" cy="128" r="2"/></g>
<surface d="M122 180q0-22 22-22h112q22 0 22 22v106q0 24-24 24H146q-24 0-24-24z"/>
<ellipse cx="200" cy="160" rx="68" ry="8" fill="$light"/>
<rect x="150" y="208" width="100" height="56" rx="8" fill="$cream"/><path d="M166 228h68M178 245h44" stroke="$ink" stroke-width="5" stroke-linecap="round" opacity=".6"/>"##;

pub(super) const TEA_TOWEL: &str = r##"<path d="M60 92h280" stroke="$wood" stroke-width="14" stroke-linecap="round"/><circle cx="60" cy="92" r="13" fill="$woodd"/><circle cx="340" cy="92" r="13" fill="$woodd"/>
<path d="M258 86h34v196l-34 14z" fill="$darker"/>
<surface d="M118 92q0-8 8-8h132q8 0 8 8v228q-74 10-148 0z"/>
<path d="M118 276q74 9 148 0v12q-74 9-148 0zM118 296q74 9 148 0v6q-74 9-148 0z" fill="$cream"/><path d="M166 98v216M222 98v216" stroke="$darker" stroke-width="3" opacity=".18"/><path d="M258 320v12q6 6 8-2v-10" fill="none" stroke="$cream" stroke-width="4"/>"##;

pub(super) const APRON: &str = r##"<path d="M164 136q-18-82 36-82t36 82" fill="none" stroke="$darker" stroke-width="9"/>
<path d="M112 214q-36 10-44 62M288 214q36 10 44 62" fill="none" stroke="$darker" stroke-width="8" stroke-linecap="round"/>
<surface d="M156 122h88q2 58 54 88v128q0 10-10 10H112q-10 0-10-10V210q52-30 54-88z"/>
<path d="M156 122h88v12h-88z" fill="$dark"/><path d="M140 234h120v56q0 14-14 14h-92q-14 0-14-14z" fill="$light"/><path d="M140 234h120v11H140z" fill="$dark"/><path d="M200 246v58" stroke="$dark" stroke-width="3" stroke-dasharray="6 5"/>"##;

pub(super) const BOARD: &str = r##"<surface d="M186 62h28q12 0 12 12v46h32q24 0 24 24v142q0 24-24 24H142q-24 0-24-24V144q0-24 24-24h32V74q0-12 12-12z"/>
<circle cx="200" cy="86" r="9" fill="$wall"/><g fill="none" stroke="$dark" stroke-width="3" opacity=".55"><path d="M146 134q12 84 0 166M172 128q14 90 2 178M232 126q-14 86 0 180M258 136q-10 80 0 162"/><path d="M202 190q-12 22 0 48 12-26 0-48z"/><path d="M202 160v18M202 250v46"/></g>"##;

pub(super) const TRAY: &str = r##"<rect x="56" y="112" width="288" height="196" rx="40" fill="$ink" opacity=".14"/><rect x="52" y="102" width="296" height="196" rx="40" fill="$woodd"/><rect x="58" y="106" width="284" height="184" rx="36" fill="$wood"/>
<surface d="M108 120h184q36 0 36 36v86q0 36-36 36H108q-36 0-36-36v-86q0-36 36-36z"/>
<rect x="58" y="176" width="12" height="46" rx="6" fill="$glow"/><rect x="330" y="176" width="12" height="46" rx="6" fill="$glow"/>
<circle cx="258" cy="176" r="40" fill="$ink" opacity=".12"/><circle cx="256" cy="172" r="38" fill="$cream"/><circle cx="256" cy="172" r="25" fill="$pale"/><circle cx="256" cy="172" r="20" fill="#8a5a34"/><path d="M279 153l16-13" stroke="$cream" stroke-width="10" stroke-linecap="round"/>
<rect x="104" y="208" width="84" height="52" rx="6" fill="$cream" opacity=".95"/><path d="M104 234h84" stroke="$dark" stroke-width="2" opacity=".5"/>"##;

pub(super) const SAUCEPAN: &str = r##"<rect x="262" y="218" width="112" height="20" rx="10" fill="$wood"/><rect x="256" y="214" width="30" height="28" rx="5" fill="$metald"/>
<surface d="M90 200h180v82q0 28-28 28H118q-28 0-28-28z"/>
<rect x="84" y="194" width="192" height="14" rx="7" fill="$ink" opacity=".85"/><path d="M92 194q4-44 88-44t88 44z" fill="$light"/><path d="M92 194q4-44 88-44t88 44z" fill="url(#shade)"/><rect x="162" y="132" width="36" height="18" rx="9" fill="$wood"/><rect x="174" y="146" width="12" height="8" fill="$metald"/>"##;
